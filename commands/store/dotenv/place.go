package dotenv

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"rekey/commands/store"
)

// maxSize bounds what is taken for an env file. Loaders read them whole, as we do.
const maxSize = 1 << 20

// place is an env file's folder, opened once so that nobody can put another folder
// in its stead, and the file's name in it.
type place struct {
	root *os.Root
	dir  string // resolved, for messages
	base string
}

// openPlace finds the file behind name, follows a symlink within its folder, and
// refuses a folder in which others could replace the file.
func openPlace(name string) (*place, error) {
	if !filepath.IsAbs(name) {
		return nil, fmt.Errorf("%s is %w: write it as an absolute path", name, store.ErrUnsafe)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return nil, missing(name, err)
	}
	target, err := filepath.EvalSymlinks(filepath.Join(dir, filepath.Base(name)))
	if err != nil {
		return nil, missing(name, err)
	}
	if filepath.Dir(target) != dir {
		return nil, fmt.Errorf("%s is %w: it is a symlink that leaves its folder; name %s in its stead, or copy the file here", name, store.ErrUnsafe, target)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the folder of %s: %w", name, err)
	}
	p := &place{root: root, dir: dir, base: filepath.Base(target)}
	if err := p.check(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return p, nil
}

func missing(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is %w", name, store.ErrNotFound)
	}
	return fmt.Errorf("finding %s: %w", name, err)
}

func (p *place) Close() error { return p.root.Close() }

func (p *place) path() string { return filepath.Join(p.dir, p.base) }

// check refuses a folder in which somebody else could swap the file.
func (p *place) check() error {
	info, err := p.root.Stat(".")
	if err != nil {
		return fmt.Errorf("looking at %s: %w", p.dir, err)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("%s is %w: others may replace files in it; run: chmod go-w %s", p.dir, store.ErrUnsafe, p.dir)
	}
	file, err := p.root.Lstat(p.base)
	if err != nil {
		return missing(p.path(), err)
	}
	mine := uint32(os.Geteuid())
	of, _ := owner(file)
	if by, _ := owner(info); by != mine && by != 0 && by != of {
		return fmt.Errorf("%s is %w: the folder belongs to user %d, who may replace files in it; run: chown %d %s", p.dir, store.ErrUnsafe, by, of, p.dir)
	}
	return nil
}

// read answers a file of the folder, checked: a regular file that only its owner can
// read and write, the owner being us (or anybody, when we are root).
func (p *place) read(base string) (fs.FileInfo, []byte, error) {
	path := filepath.Join(p.dir, base)
	before, err := p.root.Lstat(base)
	if err != nil {
		return nil, nil, missing(path, err)
	}
	if !before.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is %w: it is not a regular file", path, store.ErrUnsafe)
	}
	// Whose it is comes first: a stranger's file could not be opened anyway, and the
	// reason given should be the one that helps.
	if err := private(path, before); err != nil {
		return nil, nil, err
	}
	f, err := p.root.OpenFile(base, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, missing(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("looking at %s: %w", path, err)
	}
	if !os.SameFile(before, info) {
		return nil, nil, fmt.Errorf("%s %w while it was opened", path, store.ErrConflict)
	}
	if err := private(path, info); err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(text) > maxSize {
		return nil, nil, fmt.Errorf("%s is %w: it is larger than 1 MiB, which is no env file", path, store.ErrUnsafe)
	}
	return info, text, nil
}

func private(path string, info fs.FileInfo) error {
	if perm := info.Mode().Perm(); perm&0o066 != 0 {
		return fmt.Errorf("%s is %w: others may read or write it (mode %04o); run: chmod 600 %s", path, store.ErrUnsafe, perm, path)
	}
	uid, _ := owner(info)
	if mine := uint32(os.Geteuid()); uid != mine && mine != 0 {
		return fmt.Errorf("%s is %w: it belongs to user %d and rekey runs as user %d; run rekey as the owner, or: chown %d %s", path, store.ErrUnsafe, uid, mine, mine, path)
	}
	return nil
}

func owner(info fs.FileInfo) (uid, gid uint32) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid, st.Gid
	}
	return ^uint32(0), ^uint32(0)
}

// create makes a new file of the folder durable on disk, with the mode and owner of
// like, or 0600 and ours when like is nil. It never takes over an existing file.
func (p *place) create(base string, text []byte, like fs.FileInfo) (err error) {
	f, err := p.root.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("creating a copy beside %s: %w", p.path(), err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), p.remove(base))
		}
	}()
	if like != nil {
		if err := adopt(f, like); err != nil {
			return fmt.Errorf("%s is %w: its owner and mode cannot be kept (%w); run rekey as its owner", p.path(), store.ErrUnsafe, err)
		}
	}
	if _, err := f.Write(text); err != nil {
		return fmt.Errorf("writing a copy beside %s: %w", p.path(), err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing a copy beside %s: %w", p.path(), err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing a copy beside %s: %w", p.path(), err)
	}
	return nil
}

// adopt gives f the owner and mode of like. The owner comes first, because changing
// it clears mode bits.
func adopt(f *os.File, like fs.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	haveUID, haveGID := owner(info)
	if uid, gid := owner(like); uid != haveUID || gid != haveGID {
		if err := f.Chown(int(uid), int(gid)); err != nil {
			return err
		}
	}
	return f.Chmod(like.Mode().Perm())
}

// remove deletes a file of the folder; a missing one is no error.
func (p *place) remove(base string) error {
	if err := p.root.Remove(base); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", filepath.Join(p.dir, base), err)
	}
	return nil
}

// sync makes renames, links and removals in the folder durable.
func (p *place) sync() error {
	d, err := p.root.Open(".")
	if err != nil {
		return fmt.Errorf("opening %s: %w", p.dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing %s: %w", p.dir, err)
	}
	return nil
}

// names lists the folder.
func (p *place) names() ([]string, error) {
	d, err := p.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", p.dir, err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", p.dir, err)
	}
	return names, nil
}
