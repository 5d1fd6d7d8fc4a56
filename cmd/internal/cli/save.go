package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// free refuses a file that exists, before anything is started.
func free(path string, force bool) error {
	if path == "" || force {
		return nil
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return occupied(path)
	}
	return nil
}

func occupied(path string) error {
	return &failure{code: ExitUsage, text: path + " exists already and is not replaced.", hint: "another name, or --force"}
}

// save writes a file that only its owner may read, whole or not at all. Without force it
// replaces nothing, even when the other file appears in this very moment.
func save(path string, content []byte, force bool) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if force {
		err = os.Rename(f.Name(), path)
	} else if err = os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return occupied(path)
	} else if err != nil { // a file system without links
		if err := free(path, false); err != nil {
			return err
		}
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a new name last. Some file systems cannot, and lose nothing by it.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil //nolint:nilerr // the file itself is written
	}
	defer d.Close()
	_ = d.Sync()
	return nil
}
