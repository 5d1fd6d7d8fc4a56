package aws

import (
	"context"
	"fmt"
	"strings"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// Sweep makes it impossible for earlier owners of the run to make visible what they
// prepared, and takes their labels away. Where a version was made from the current
// one, AWSCURRENT is moved to a copy of it: others that are about to write find a
// conflict and read again.
func (s *Store) Sweep(ctx context.Context, ref store.Ref, run string, fenceNumber int64) error {
	if err := checkRef(ctx, ref); err != nil {
		return err
	}
	if err := checkRun(run, fenceNumber); err != nil {
		return err
	}
	at, err := s.stages(ctx, ref)
	if err != nil {
		return err
	}
	if err := s.sweepDeposits(ctx, ref, run, at); err != nil {
		return err
	}
	for label, version := range at {
		o, ok := ownerOf(label)
		if !ok || o.run != run || o.fence >= fenceNumber {
			continue
		}
		if err := s.outdate(ctx, ref, o.from); err != nil {
			return err
		}
		if err := s.release(ctx, ref, version); err != nil {
			return err
		}
		if err := s.remove(ctx, ref, label, version); err != nil {
			return err
		}
	}
	if version := at[pageLabel]; version != "" { // somebody died over a copy
		return s.remove(ctx, ref, pageLabel, version)
	}
	return nil
}

// outdate sees to it that AWSCURRENT is not on version any more, and that the same
// text is current.
func (s *Store) outdate(ctx context.Context, ref store.Ref, version string) error {
	id, text, err := s.fetch(ctx, ref, "")
	if err != nil || id != version {
		return err
	}
	page := s.token("page", ref.Location, version)
	if err := s.put(ctx, ref, page, text, pageLabel); err != nil {
		return err
	}
	if err := s.release(ctx, ref, version); err != nil {
		return err
	}
	if err := s.move(ctx, ref, current, page, version); err != nil {
		at, lookErr := s.stages(ctx, ref)
		if lookErr != nil || at[current] == version {
			return err
		}
	}
	return s.remove(ctx, ref, pageLabel, page)
}

// Forget sees to it that no label is on a version in which a key of ref holds dead:
// AWSPREVIOUS above all, which is where an old value is looked for. It is an error
// while the current version holds it. See the package documentation for what stays.
func (s *Store) Forget(ctx context.Context, ref store.Ref, dead secret.Value) error {
	if err := checkRef(ctx, ref); err != nil || dead.IsZero() {
		return err
	}
	now, err := s.look(ctx, ref)
	if err != nil {
		return err
	}
	if holds(now.state, dead) {
		return fmt.Errorf("%s in %s still holds the value that is to be forgotten", ref.Location, s.name)
	}
	at, err := s.stages(ctx, ref)
	if err != nil || at[previous] == "" {
		return err
	}
	_, text, err := s.fetch(ctx, ref, at[previous])
	if err != nil {
		return err
	}
	was, err := interpret(ref, text)
	if err != nil || !holds(was, dead) {
		return nil //nolint:nilerr // a text that has no such key does not hold the value under it
	}
	// The copy makes AWSPREVIOUS follow to the version that was current.
	return s.outdate(ctx, ref, now.version)
}

func holds(st store.State, v secret.Value) bool { return st.Current.Equal(v) || st.Previous.Equal(v) }

// sweepDeposits undoes the run's escrows in the making.
func (s *Store) sweepDeposits(ctx context.Context, ref store.Ref, run string, at stages) error {
	for label := range at {
		if version, ok := strings.CutPrefix(label, depositOf(ref, run)); ok {
			if err := s.undo(ctx, ref, label, version, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// undo takes a draft away, whoever may be completing it. Completing takes the draft's
// own label off it; so undo first moves that label to another version: one of the two
// is refused. What was completed stays.
func (s *Store) undo(ctx context.Context, ref store.Ref, label, version string, at stages) error {
	aside := at[label]
	if aside == version {
		aside = at[current]
		if err := s.move(ctx, ref, label, aside, version); err != nil {
			now, lookErr := s.stages(ctx, ref)
			switch {
			case lookErr != nil || now[label] == version:
				return err
			case now[label] == "": // completed, or undone by somebody else
				return nil
			}
			aside = now[label]
		}
	}
	if err := s.remove(ctx, ref, escrowOf(ref), version); err != nil {
		return err
	}
	return s.remove(ctx, ref, label, aside)
}
