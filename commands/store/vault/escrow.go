package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"rekey/commands/store"
)

// escrowFormat is the version of what the slot of an escrow holds.
const escrowFormat = 1

// parcel is the slot's data: keys with texts, readable by a person who has to finish a
// rotation by hand. An empty run means that the slot is free.
type parcel struct {
	Format int             `json:"rekey_escrow"`
	Run    string          `json:"run,omitempty"`
	Old    json.RawMessage `json:"old,omitempty"`
	New    json.RawMessage `json:"new,omitempty"`
}

// Deposit keeps e in the slot under ".rekey/", with check-and-set, so that it never
// replaces another one. See store.Store.
func (s *Store) Deposit(ctx context.Context, ref store.Ref, e store.Escrow, fence store.Fence) (store.Escrow, error) {
	if err := errors.Join(checkRef(ctx, ref), checkRun(e.Run, 0)); err != nil {
		return store.Escrow{}, err
	}
	if e.New.IsZero() || fence == nil {
		return store.Escrow{}, fmt.Errorf("%s: an escrow needs a new value and a fence", ref.Location)
	}
	box, err := pack(e)
	if err != nil {
		return store.Escrow{}, err
	}
	now, stored, err := s.open(ctx, ref)
	if err != nil || stored.Run != "" {
		return s.theirs(ref, e.Run, stored, err)
	}
	// A deposit names no fence number. Every sweep of this run by a successor is one under
	// a higher number, so the lowest one will do.
	m, err := s.mark(ctx, ref, markDeposit, e.Run, 0)
	if err != nil {
		return store.Escrow{}, err
	}
	if err := fence(ctx); err != nil {
		s.unmark(ctx, m)
		return store.Escrow{}, fmt.Errorf("no escrow was made for %s: %w", s.place(ref.Location), err)
	}
	moved, a, err := s.set(ctx, slot(ref), now.version, box)
	if err != nil && !certain(a, err) {
		kept, known, err := s.settleDeposit(ctx, ref, e, now.version, err)
		if known {
			s.unmark(ctx, m)
		}
		return kept, err
	}
	s.unmark(ctx, m)
	if err != nil {
		return store.Escrow{}, fmt.Errorf("making an escrow for %s: %w", s.place(ref.Location), err)
	}
	if !moved {
		return e, nil
	}
	if _, stored, err = s.open(ctx, ref); err == nil && stored.Run == "" {
		return store.Escrow{}, fmt.Errorf("no escrow was made for %s: %w, another process swept it away", s.place(ref.Location), store.ErrConflict)
	}
	return s.theirs(ref, e.Run, stored, err)
}

// settleDeposit finds out what became of a deposit whose answer was lost, and sees to
// it that a request still under way comes too late.
func (s *Store) settleDeposit(ctx context.Context, ref store.Ref, e store.Escrow, version int, lostErr error) (_ store.Escrow, known bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), aftermath)
	defer cancel()
	unknown := fmt.Errorf("it is not known whether an escrow was made for %s: %w", s.place(ref.Location), lostErr)
	for range 3 {
		now, stored, err := s.open(ctx, ref)
		switch {
		case err != nil:
			return store.Escrow{}, false, unknown
		case stored.Run != "":
			kept, err := s.theirs(ref, e.Run, stored, nil)
			return kept, true, err
		case now.version > version:
			return store.Escrow{}, true, fmt.Errorf("no escrow was made for %s: %w", s.place(ref.Location), lostErr)
		}
		if err := s.bumpSlot(ctx, slot(ref)); err != nil {
			return store.Escrow{}, false, unknown
		}
	}
	return store.Escrow{}, false, unknown
}

// theirs answers an escrow that is there already, if it belongs to run.
func (s *Store) theirs(ref store.Ref, run string, stored store.Escrow, err error) (store.Escrow, error) {
	if err != nil {
		return store.Escrow{}, err
	}
	if stored.Run != run {
		return store.Escrow{}, fmt.Errorf("%w: run %s left an escrow for %s; finish that run, or destroy the versions of %s when it is over",
			store.ErrConflict, stored.Run, s.place(ref.Location), s.place(slot(ref)))
	}
	return stored, nil
}

// Withdraw reads the run's escrow; store.ErrNotFound when there is none of this run.
func (s *Store) Withdraw(ctx context.Context, ref store.Ref, run string) (store.Escrow, error) {
	if err := errors.Join(checkRef(ctx, ref), checkRun(run, 0)); err != nil {
		return store.Escrow{}, err
	}
	_, stored, err := s.open(ctx, ref)
	if err != nil {
		return store.Escrow{}, err
	}
	if stored.Run != run {
		return store.Escrow{}, fmt.Errorf("the escrow of run %s is %w at %s", run, store.ErrNotFound, s.place(slot(ref)))
	}
	return stored, nil
}

// Discard destroys every version of the run's escrow. Another run's stays, and a
// missing one is no error.
func (s *Store) Discard(ctx context.Context, ref store.Ref, run string) error {
	if err := errors.Join(checkRef(ctx, ref), checkRun(run, 0)); err != nil {
		return err
	}
	now, stored, err := s.open(ctx, ref)
	if err != nil || now.version == 0 || stored.Run != "" && stored.Run != run {
		return err
	}
	// Also where the slot is free: somebody may have deleted a version by hand, which
	// leaves its value to whoever undeletes it.
	versions, err := s.versions(ctx, slot(ref))
	if err != nil {
		return err
	}
	var whole []int
	for _, v := range versions.kept {
		if !v.destroyed && v.number <= now.version {
			whole = append(whole, v.number)
		}
	}
	return s.destroy(ctx, slot(ref), whole)
}

// open reads the slot. A free one is the zero Escrow.
func (s *Store) open(ctx context.Context, ref store.Ref) (entry, store.Escrow, error) {
	now, err := s.get(ctx, slot(ref))
	if err != nil || !now.live() {
		return now, store.Escrow{}, err
	}
	var format int
	run, hasRun, runErr := now.text("run")
	old, _, oldErr := now.text("old")
	fresh, hasNew, newErr := now.text("new")
	if json.Unmarshal(now.data["rekey_escrow"], &format) != nil || format != escrowFormat || hasRun != hasNew || errors.Join(runErr, oldErr, newErr) != nil {
		return now, store.Escrow{}, fmt.Errorf("%s is no escrow of format %d: look at it before you remove it", now.place, escrowFormat)
	}
	return now, store.Escrow{Run: run.Reveal(), Old: old, New: fresh}, nil
}

// bumpSlot gives a free slot a new version. One that is taken has a newer version than
// any deposit still under way could name.
func (s *Store) bumpSlot(ctx context.Context, path string) error {
	now, err := s.get(ctx, path)
	if err != nil {
		return err
	}
	if _, taken := now.data["run"]; taken {
		return nil
	}
	_, _, err = s.set(ctx, path, now.version, parcel{Format: escrowFormat})
	return err
}

func pack(e store.Escrow) (parcel, error) {
	p := parcel{Format: escrowFormat, Run: e.Run}
	var err error
	if p.New, err = quote(e.New); err != nil {
		return parcel{}, fmt.Errorf("the escrow of run %s: %w", e.Run, err)
	}
	if p.Old, err = quote(e.Old); err != nil {
		return parcel{}, fmt.Errorf("the escrow of run %s: %w", e.Run, err)
	}
	return p, nil
}
