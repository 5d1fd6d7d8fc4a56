package dotenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"rekey/commands/store"
)

// Write makes the file hold c.Want in one rename; see store.Store. Besides the
// errors of Read it answers ErrConflict when the file is not at c.From, changed while
// the write was prepared, or when the prepared copy was swept away by a successor or
// by another writer of the same file: Read and decide again. When changed is true
// and err is not nil, the change is visible but may not survive a power cut.
func (s *Store) Write(ctx context.Context, ref store.Ref, c store.Change) (changed bool, err error) {
	if err := checkChange(ctx, ref, c); err != nil {
		return false, err
	}
	p, err := openPlace(ref.Location)
	if err != nil {
		return false, err
	}
	defer p.Close()
	unlock, err := p.lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()

	now, err := s.look(p, ref)
	if err != nil {
		return false, err
	}
	next, err := s.draft(now, ref, c)
	if err != nil {
		return false, fmt.Errorf("%s: %w", p.path(), err)
	}
	if bytes.Equal(next, now.text) {
		return false, nil
	}
	if c.From != now.state.Revision {
		return false, fmt.Errorf("%s %w", p.path(), store.ErrConflict)
	}
	return s.replace(ctx, p, ref, c, now, next)
}

// replace prepares the new file and makes it visible. The order of its steps is the
// proof in the package documentation.
func (s *Store) replace(ctx context.Context, p *place, ref store.Ref, c store.Change, now sight, next []byte) (bool, error) {
	mine := copyName(p.base, c.Run, c.FenceNumber)
	if err := p.create(mine, next, now.info); err != nil {
		if errors.Is(err, fs.ErrExist) {
			// Left behind by ourselves, or being written right now. Deleting it is safe
			// either way; taking its name would not be.
			return false, errors.Join(fmt.Errorf("%s %w: a copy of this run was in the way", p.path(), store.ErrConflict), p.remove(mine))
		}
		return false, err
	}
	done := false
	defer func() {
		if !done {
			_ = p.remove(mine) // who comes next sweeps it otherwise
		}
	}()
	if err := p.removeCopies(func(name string) bool { return name != mine }); err != nil {
		return false, err
	}
	again, err := s.look(p, ref)
	if err != nil {
		return false, err
	}
	if again.state.Revision != now.state.Revision {
		return false, fmt.Errorf("%s %w", p.path(), store.ErrConflict)
	}
	if err := c.Fence(ctx); err != nil {
		return false, fmt.Errorf("%s was left as it was: %w", p.path(), err)
	}
	// The fence may have taken a while; one look at the times is cheap.
	if last, err := p.root.Lstat(p.base); err != nil || !same(again.info, last) {
		return false, fmt.Errorf("%s %w", p.path(), store.ErrConflict)
	}
	if err := p.root.Rename(mine, p.base); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("%s was left as it was: %w, another process swept the prepared copy away", p.path(), store.ErrConflict)
		}
		return false, fmt.Errorf("replacing %s: %w", p.path(), err)
	}
	done = true
	return true, p.sync()
}

// draft answers the file that holds c.Want, after reading it back.
func (s *Store) draft(now sight, ref store.Ref, c store.Change) ([]byte, error) {
	next, err := rewrite(now.doc, ref, c.Want)
	if err != nil {
		return nil, err
	}
	d := parse(next, ref.Variable, ref.Previous)
	current, _, err := d.value(ref.Variable)
	if err != nil {
		return nil, err
	}
	if !current.Equal(c.Want.Current) {
		return nil, fmt.Errorf("%s would not read back: %w", ref.Variable, store.ErrAmbiguous)
	}
	if ref.Previous == "" {
		return next, nil
	}
	previous, _, err := d.value(ref.Previous)
	if err != nil {
		return nil, err
	}
	if !previous.Equal(c.Want.Previous) {
		return nil, fmt.Errorf("%s would not read back: %w", ref.Previous, store.ErrAmbiguous)
	}
	return next, nil
}

// same reports that a file was neither replaced nor written to.
func same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.Mode() == b.Mode() && a.ModTime().Equal(b.ModTime()) && changeTime(a) == changeTime(b)
}

func changeTime(info fs.FileInfo) syscall.Timespec {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ctim
	}
	return syscall.Timespec{}
}

func checkChange(ctx context.Context, ref store.Ref, c store.Change) error {
	if err := checkRef(ctx, ref); err != nil {
		return err
	}
	switch {
	case c.Want.Current.IsZero():
		return fmt.Errorf("%s: an empty value is never written to %s", ref.Location, ref.Variable)
	case ref.Previous == "" && !c.Want.Previous.IsZero():
		return fmt.Errorf("%s: there is no variable for the previous value of %s", ref.Location, ref.Variable)
	case c.Fence == nil:
		return fmt.Errorf("%s: a write needs a fence", ref.Location)
	}
	return checkRun(c.Run, c.FenceNumber)
}
