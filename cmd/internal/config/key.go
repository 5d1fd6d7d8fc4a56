package config

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"rekey/commands/secret"
)

// keyFile holds the root key in the state folder.
const keyFile = "rekey.key"

// keptKey reads the root key from the state folder, and makes it there where
// neither it nor a database exists. Two processes that start at once get one key.
func keptKey(dir, database string) (secret.Key, error) {
	path := filepath.Join(dir, keyFile)
	k, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if _, err := os.Stat(database); err == nil {
		return secret.Key{}, &keyFault{
			"the database " + shownPath(database) + " exists, and its key " + shownPath(path) + " does not",
			"restore the key file from the backup or set REKEY_KEY; with another key the security log cannot be verified",
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return secret.Key{}, err
	}
	if err := makeKey(dir, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return secret.Key{}, err
	}
	return readKey(path)
}

// makeKey writes a whole file under another name first: a link appears at once and
// complete, and never takes the place of a key that is there.
func makeKey(dir, path string) error {
	k, err := secret.NewKey(rand.Reader)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+keyFile+"-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(k.Hex().Reveal() + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readKey(path string) (secret.Key, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return secret.Key{}, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return secret.Key{}, &keyFault{"the key file " + shownPath(path) + " is open to others or no ordinary file", "chmod 0600 it, and give it to rekey's user"}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return secret.Key{}, err
	}
	k, err := secret.ParseKey(secret.NewValue(string(b)))
	if err != nil {
		return secret.Key{}, &keyFault{"the key file " + shownPath(path) + " holds no key", "restore it from the backup"}
	}
	return k, nil
}

// keyFault is a fault of the key on its way through an error.
type keyFault struct{ Message, Hint string }

func (f *keyFault) Error() string { return f.Message }
