package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/commands/store"
)

// aftermath bounds finding out what became of a request. It goes on when the caller's
// context has ended, because that is when requests are given up.
const aftermath = 10 * time.Second

// Write makes the secret hold c.Want in one new version; see store.Store. Where the
// answer to the write is lost it finds out what became of it; an error says so when
// that could not be found out, and Sweep under a higher fence number settles it.
func (s *Store) Write(ctx context.Context, ref store.Ref, c store.Change) (changed bool, err error) {
	if err := checkChange(ctx, ref, c); err != nil {
		return false, err
	}
	now, err := s.get(ctx, ref.Location)
	if err != nil {
		return false, err
	}
	if _, err := s.state(now, ref); err != nil {
		return false, err
	}
	if now.holds(ref, c.Want) {
		return false, nil
	}
	if c.From != now.revision() {
		return false, s.conflict(ref)
	}
	next, err := now.with(ref, c.Want)
	if err != nil {
		return false, err
	}

	// The order of these is the proof in the package documentation: read, mark, fence, act.
	m, err := s.mark(ctx, ref, markWrite, c.Run, c.FenceNumber)
	if err != nil {
		return false, err
	}
	if err := c.Fence(ctx); err != nil {
		s.unmark(ctx, m)
		return false, fmt.Errorf("%s was left as it was: %w", now.place, err)
	}
	moved, a, err := s.set(ctx, ref.Location, now.version, next)
	switch {
	case moved:
		err = s.conflict(ref)
	case err != nil && !certain(a, err):
		changed, known, settled := s.settle(ctx, ref, c.Want, now.version, err)
		if known {
			s.unmark(ctx, m)
		}
		return changed, settled
	case err == nil:
		changed = true
	}
	s.unmark(ctx, m)
	return changed, err
}

// settle finds out what became of a write on top of version whose answer was lost. If
// nothing did, it sees to it that nothing will, and known is true either way.
func (s *Store) settle(ctx context.Context, ref store.Ref, want store.State, version int, lostErr error) (changed, known bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), aftermath)
	defer cancel()
	now, err := s.get(ctx, ref.Location)
	if err == nil && now.version == version && now.live() {
		if moved, _, err := s.set(ctx, ref.Location, version, now.data); err == nil && !moved {
			return false, true, fmt.Errorf("%s was left as it was: %w", now.place, lostErr)
		}
		now, err = s.get(ctx, ref.Location)
	}
	switch {
	case err == nil && now.live() && now.holds(ref, want):
		return true, true, nil
	case err == nil && now.version > version:
		return false, true, s.conflict(ref)
	}
	return false, false, fmt.Errorf("it is not known whether %s was changed: %w", s.place(ref.Location), lostErr)
}

func (s *Store) conflict(ref store.Ref) error {
	return fmt.Errorf("%s %w in vault", s.place(ref.Location), store.ErrConflict)
}

func checkChange(ctx context.Context, ref store.Ref, c store.Change) error {
	if err := errors.Join(checkRef(ctx, ref), checkRun(c.Run, c.FenceNumber)); err != nil {
		return err
	}
	switch {
	case c.Want.Current.IsZero():
		return fmt.Errorf("%s: an empty value is never written to %q", ref.Location, ref.Variable)
	case ref.Previous == "" && !c.Want.Previous.IsZero():
		return fmt.Errorf("%s: there is no key for the previous value of %q", ref.Location, ref.Variable)
	case c.Fence == nil:
		return fmt.Errorf("%s: a write needs a fence", ref.Location)
	}
	return nil
}
