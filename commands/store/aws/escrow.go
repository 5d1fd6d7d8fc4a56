package aws

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// escrowFormat is the version of what an escrow holds.
const escrowFormat = 1

// escrowText is an escrow in AWS: readable by a person who has to finish a rotation by
// hand.
type escrowText struct {
	Format int    `json:"rekey_escrow"`
	Run    string `json:"run"`
	Old    string `json:"old"`
	New    string `json:"new"`
}

// deposits bounds how often a deposit begins again because others deposit at the same
// moment.
const deposits = 10

// Deposit keeps e as a version of the secret; see store.Store and the package
// documentation. A deposit of the same run that was begun elsewhere is completed.
func (s *Store) Deposit(ctx context.Context, ref store.Ref, e store.Escrow, fence store.Fence) (store.Escrow, error) {
	if err := errors.Join(checkRef(ctx, ref), checkRun(e.Run, 0)); err != nil {
		return store.Escrow{}, err
	}
	if e.New.IsZero() || fence == nil {
		return store.Escrow{}, fmt.Errorf("%s: an escrow needs a new value and a fence", ref.Location)
	}
	text, err := seal(e)
	if err != nil {
		return store.Escrow{}, err
	}
	if err := s.fits(ref, text); err != nil {
		return store.Escrow{}, err
	}
	for range deposits {
		at, err := s.stages(ctx, ref)
		if err != nil {
			return store.Escrow{}, err
		}
		version := at[escrowOf(ref)]
		if version == "" {
			if err := s.reserve(ctx, ref, e.Run, text); err != nil {
				return store.Escrow{}, err
			}
			continue // whoever's draft it is now
		}
		stored, err := s.theirs(ctx, ref, e.Run, version)
		if err != nil {
			return store.Escrow{}, err
		}
		label := at.draft(version)
		switch at[label] {
		case "":
			return stored, nil
		case version:
			if err := s.complete(ctx, ref, label, version, at, fence); err != nil {
				return store.Escrow{}, err
			}
			return stored, nil
		}
		// Somebody died while undoing it.
		if err := s.undo(ctx, ref, label, version, at); err != nil {
			return store.Escrow{}, err
		}
	}
	return store.Escrow{}, fmt.Errorf("%s in %s %w: too many deposit there at once", ref.Location, s.name, store.ErrConflict)
}

// reserve puts a draft and gives it the escrow's label, which AWS grants to one version
// alone. That somebody else was quicker is no error.
func (s *Store) reserve(ctx context.Context, ref store.Ref, run, text string) error {
	version := s.token(rand.Text())
	label := depositOf(ref, run) + version
	if err := s.put(ctx, ref, version, text, label); err != nil {
		return err
	}
	err := s.move(ctx, ref, escrowOf(ref), version, "")
	if err == nil {
		return nil
	}
	after, cancel := afterwards(ctx)
	defer cancel()
	at, lookErr := s.stages(after, ref)
	switch holder := at[escrowOf(ref)]; {
	case lookErr != nil, holder == "":
		return err
	case holder == version: // the answer was lost
		return nil
	}
	return s.remove(after, ref, label, version)
}

// complete asks the fence and makes a draft an escrow by removing its draft label. It
// is one only if it was not undone meanwhile.
func (s *Store) complete(ctx context.Context, ref store.Ref, label, version string, at stages, fence store.Fence) error {
	if err := fence(ctx); err != nil {
		after, cancel := afterwards(ctx)
		defer cancel()
		_ = s.undo(after, ref, label, version, at) // the next sweep does it otherwise
		return fmt.Errorf("no escrow was made in %s: %w", ref.Location, err)
	}
	err := s.move(ctx, ref, label, "", version)
	after, cancel := afterwards(ctx)
	defer cancel()
	now, lookErr := s.stages(after, ref)
	switch {
	case lookErr != nil:
		return errors.Join(err, lookErr)
	case now[escrowOf(ref)] == version && now[label] == "":
		return nil
	case err != nil && now[label] == version:
		return err
	}
	return fmt.Errorf("no escrow was made in %s: %w, another process swept it away", ref.Location, store.ErrConflict)
}

// theirs reads the escrow on a version, which must be the run's.
func (s *Store) theirs(ctx context.Context, ref store.Ref, run, version string) (store.Escrow, error) {
	stored, err := s.open(ctx, ref, version)
	if err != nil {
		return store.Escrow{}, err
	}
	if stored.Run != run {
		return store.Escrow{}, fmt.Errorf("%w: run %s left an escrow in %s; finish that run, or remove the staging label %s when it is over",
			store.ErrConflict, stored.Run, ref.Location, escrowOf(ref))
	}
	return stored, nil
}

// Withdraw reads the run's escrow; store.ErrNotFound when there is none of this run.
func (s *Store) Withdraw(ctx context.Context, ref store.Ref, run string) (store.Escrow, error) {
	if err := errors.Join(checkRef(ctx, ref), checkRun(run, 0)); err != nil {
		return store.Escrow{}, err
	}
	at, err := s.stages(ctx, ref)
	if err != nil {
		return store.Escrow{}, err
	}
	version := at[escrowOf(ref)]
	if version == "" || at.draft(version) != "" {
		return store.Escrow{}, fmt.Errorf("an escrow of run %s is %w in %s", run, store.ErrNotFound, ref.Location)
	}
	stored, err := s.open(ctx, ref, version)
	if err != nil {
		return store.Escrow{}, err
	}
	if stored.Run != run {
		return store.Escrow{}, fmt.Errorf("the escrow of run %s is %w in %s: there is one of run %s", run, store.ErrNotFound, ref.Location, stored.Run)
	}
	return stored, nil
}

// Discard takes the labels off the run's escrow and off what else the run left behind
// and can never become current. Another run's stay, and none is no error.
func (s *Store) Discard(ctx context.Context, ref store.Ref, run string) error {
	if err := errors.Join(checkRef(ctx, ref), checkRun(run, 0)); err != nil {
		return err
	}
	at, err := s.stages(ctx, ref)
	if err != nil {
		return err
	}
	for label, version := range at {
		if o, ok := ownerOf(label); ok && o.run == run && o.from != at[current] {
			if err := errors.Join(s.release(ctx, ref, version), s.remove(ctx, ref, label, version)); err != nil {
				return err
			}
		}
	}
	if err := s.sweepDeposits(ctx, ref, run, at); err != nil {
		return err
	}
	version := at[escrowOf(ref)]
	if version == "" || at.draft(version) != "" {
		return nil
	}
	stored, err := s.open(ctx, ref, version)
	if err != nil || stored.Run != run {
		return err
	}
	return s.remove(ctx, ref, escrowOf(ref), version)
}

func (s *Store) open(ctx context.Context, ref store.Ref, version string) (store.Escrow, error) {
	_, text, err := s.fetch(ctx, ref, version)
	if err != nil {
		return store.Escrow{}, err
	}
	var f escrowText
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	// The decoder's own words may quote what it read.
	if err := d.Decode(&f); err != nil || f.Format != escrowFormat || f.Run == "" || f.New == "" {
		return store.Escrow{}, fmt.Errorf("the version %s of %s is no escrow of format %d: look at it before you remove its label %s", version, ref.Location, escrowFormat, escrowOf(ref))
	}
	return store.Escrow{Run: f.Run, Old: secret.NewValue(f.Old), New: secret.NewValue(f.New)}, nil
}

func seal(e store.Escrow) (string, error) {
	f := escrowText{Format: escrowFormat, Run: e.Run, Old: e.Old.Reveal(), New: e.New.Reveal()}
	if !utf8.ValidString(f.Old) || !utf8.ValidString(f.New) {
		return "", fmt.Errorf("a value of run %s is %w: it is not UTF-8", e.Run, store.ErrAmbiguous)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return "", fmt.Errorf("encoding the escrow of run %s: %w", e.Run, err)
	}
	return b.String(), nil
}
