package aws

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"rekey/commands/store"
	"rekey/commands/store/aws/document"
)

// Write makes the AWSCURRENT version hold c.Want by moving that label once; see
// store.Store and the package documentation. Besides the errors of Read it answers
// ErrConflict when AWSCURRENT is not at c.From, was moved meanwhile, or while AWS's own
// rotation of the secret is under way. After any other error the move may or may not
// have happened: Read tells.
func (s *Store) Write(ctx context.Context, ref store.Ref, c store.Change) (changed bool, err error) {
	if err := checkChange(ctx, ref, c); err != nil {
		return false, err
	}
	now, err := s.look(ctx, ref)
	if err != nil {
		return false, err
	}
	if now.state.Current.Equal(c.Want.Current) && now.state.Previous.Equal(c.Want.Previous) {
		return false, nil
	}
	if c.From != now.version {
		return false, fmt.Errorf("%s in %s %w", ref.Location, s.name, store.ErrConflict)
	}
	next, err := draft(now, ref, c.Want)
	if err != nil {
		return false, fmt.Errorf("%s in %s: %w", ref.Location, s.name, err)
	}
	if err := s.fits(ref, next); err != nil {
		return false, err
	}
	at, err := s.stages(ctx, ref)
	if err != nil {
		return false, err
	}
	if at.foreign() {
		return false, fmt.Errorf("%s in %s %w: AWS's own rotation of it is under way; wait for its end, or cancel it and remove its AWSPENDING label", ref.Location, s.name, store.ErrConflict)
	}
	return s.replace(ctx, ref, c, now, next)
}

// replace puts the version and moves AWSCURRENT to it. The order of its steps is the
// proof in the package documentation.
func (s *Store) replace(ctx context.Context, ref store.Ref, c store.Change, now sight, next string) (bool, error) {
	mine := owner{run: c.Run, fence: c.FenceNumber, from: now.version}.label()
	version := s.token("write", ref.Location, mine, next)
	if err := s.put(ctx, ref, version, next, mine, pending); err != nil {
		return false, err
	}
	if err := c.Fence(ctx); err != nil {
		s.abandon(ctx, ref, mine, version)
		return false, fmt.Errorf("%s in %s was left as it was: %w", ref.Location, s.name, err)
	}
	if err := s.move(ctx, ref, current, version, now.version); err != nil {
		return s.settle(ctx, ref, mine, version, now.version, err)
	}
	s.unlabel(ctx, ref, mine, version)
	return true, nil
}

// settle finds out what became of a move that answered err: the answer may have been
// lost after the act.
func (s *Store) settle(ctx context.Context, ref store.Ref, mine, version, from string, err error) (bool, error) {
	after, cancel := afterwards(ctx)
	defer cancel()
	at, lookErr := s.stages(after, ref)
	switch {
	case lookErr != nil:
		return false, err // the label stays: who comes next must know of the version
	case at[current] == version:
		s.unlabel(ctx, ref, mine, version)
		return true, nil
	case at[current] != from:
		s.abandon(ctx, ref, mine, version)
		return false, fmt.Errorf("%s in %s %w", ref.Location, s.name, store.ErrConflict)
	}
	return false, err // it may still be on its way: the label stays
}

// abandon takes the labels off a version that nobody will make current.
func (s *Store) abandon(ctx context.Context, ref store.Ref, mine, version string) {
	after, cancel := afterwards(ctx)
	defer cancel()
	_ = s.release(after, ref, version) // who comes next sweeps it otherwise
	_ = s.remove(after, ref, mine, version)
}

// unlabel takes the labels of a write off a version that is current, or was.
func (s *Store) unlabel(ctx context.Context, ref store.Ref, mine, version string) {
	after, cancel := afterwards(ctx)
	defer cancel()
	if s.release(after, ref, version) == nil { // Discard removes both otherwise
		_ = s.remove(after, ref, mine, version)
	}
}

// release takes AWSPENDING off a version, where it is on it. AWS starts no rotation while
// it is on another than the current one, and it would be, left on the current one, as
// soon as anybody changes the secret.
func (s *Store) release(ctx context.Context, ref store.Ref, version string) error {
	at, err := s.stages(ctx, ref)
	if err != nil || at[pending] != version {
		return err
	}
	return s.remove(ctx, ref, pending, version)
}

// draft answers the text that holds want, after reading it back.
func draft(now sight, ref store.Ref, want store.State) (string, error) {
	next := want.Current.Reveal()
	if ref.Variable != "" {
		d, err := document.Parse(now.text())
		if err != nil {
			return "", err
		}
		if d, err = d.With(ref.Variable, want.Current, ""); err != nil {
			return "", err
		}
		if ref.Previous != "" {
			if d, err = d.With(ref.Previous, want.Previous, ref.Variable); err != nil {
				return "", err
			}
		}
		next = d.Text()
	}
	if !utf8.ValidString(next) {
		return "", fmt.Errorf("the value is not UTF-8, which AWS keeps no text of: %w", store.ErrAmbiguous)
	}
	st, err := interpret(ref, next)
	if err != nil {
		return "", err
	}
	if !st.Current.Equal(want.Current) || !st.Previous.Equal(want.Previous) {
		return "", fmt.Errorf("the new value would not read back: %w", store.ErrAmbiguous)
	}
	return next, nil
}

func checkChange(ctx context.Context, ref store.Ref, c store.Change) error {
	if err := checkRef(ctx, ref); err != nil {
		return err
	}
	switch {
	case c.Want.Current.IsZero():
		return fmt.Errorf("%s: an empty value is never written", ref.Location)
	case ref.Previous == "" && !c.Want.Previous.IsZero():
		return fmt.Errorf("%s: there is no key for the previous value of %q", ref.Location, ref.Variable)
	case c.Fence == nil:
		return errors.New(ref.Location + ": a write needs a fence")
	}
	return checkRun(c.Run, c.FenceNumber)
}
