package dotenv

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"unicode/utf8"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// escrowFormat is the version of what an escrow file holds.
const escrowFormat = 1

// escrowFile is an escrow on disk: one line of JSON, readable by a person who has to
// finish a rotation by hand.
type escrowFile struct {
	Format int    `json:"rekey_escrow"`
	Run    string `json:"run"`
	Old    string `json:"old"`
	New    string `json:"new"`
}

// Deposit keeps e in a 0600 file beside the env file, created whole by link(2), which
// never overwrites. See store.Store.
func (s *Store) Deposit(ctx context.Context, ref store.Ref, e store.Escrow, fence store.Fence) (store.Escrow, error) {
	if err := errors.Join(checkRef(ctx, ref), checkRun(e.Run, 0)); err != nil {
		return store.Escrow{}, err
	}
	if e.New.IsZero() || fence == nil {
		return store.Escrow{}, fmt.Errorf("%s: an escrow needs a new value and a fence", ref.Location)
	}
	p, err := openPlace(ref.Location)
	if err != nil {
		return store.Escrow{}, err
	}
	defer p.Close()
	if stored, err := p.escrow(ref.Variable); err == nil || !errors.Is(err, store.ErrNotFound) {
		return theirs(p, ref, e.Run, stored, err)
	}

	text, err := seal(e)
	if err != nil {
		return store.Escrow{}, err
	}
	draft := escrowDraft(p.base, ref.Variable, e.Run) + rand.Text()
	if err := p.create(draft, text, nil); err != nil {
		return store.Escrow{}, err
	}
	defer p.remove(draft) //nolint:errcheck // Sweep removes it otherwise
	if err := fence(ctx); err != nil {
		return store.Escrow{}, fmt.Errorf("no escrow was made beside %s: %w", p.path(), err)
	}
	if err := p.root.Link(draft, escrowName(p.base, ref.Variable)); err != nil {
		if errors.Is(err, fs.ErrExist) {
			stored, err := p.escrow(ref.Variable)
			return theirs(p, ref, e.Run, stored, err)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return store.Escrow{}, fmt.Errorf("no escrow was made beside %s: %w, another process swept it away", p.path(), store.ErrConflict)
		}
		return store.Escrow{}, fmt.Errorf("making an escrow beside %s: %w", p.path(), err)
	}
	return e, p.sync()
}

// theirs answers an escrow that is there already, if it belongs to run. It syncs,
// because whoever made it may have been killed before doing so.
func theirs(p *place, ref store.Ref, run string, stored store.Escrow, err error) (store.Escrow, error) {
	if err != nil {
		return store.Escrow{}, err
	}
	if stored.Run != run {
		return store.Escrow{}, fmt.Errorf("%w: run %s left an escrow beside %s; finish that run, or remove %s when it is over",
			store.ErrConflict, stored.Run, p.path(), filepath.Join(p.dir, escrowName(p.base, ref.Variable)))
	}
	return stored, p.sync()
}

// Withdraw reads the run's escrow; store.ErrNotFound when there is none of this run.
func (s *Store) Withdraw(ctx context.Context, ref store.Ref, run string) (store.Escrow, error) {
	if err := checkRef(ctx, ref); err != nil {
		return store.Escrow{}, err
	}
	p, err := openPlace(ref.Location)
	if err != nil {
		return store.Escrow{}, err
	}
	defer p.Close()
	stored, err := p.escrow(ref.Variable)
	if err != nil {
		return store.Escrow{}, err
	}
	if stored.Run != run {
		return store.Escrow{}, fmt.Errorf("the escrow of run %s is %w beside %s: there is one of run %s", run, store.ErrNotFound, p.path(), stored.Run)
	}
	return stored, nil
}

// Discard removes the run's escrow. Another run's stays, and a missing one is no
// error.
func (s *Store) Discard(ctx context.Context, ref store.Ref, run string) error {
	if err := checkRef(ctx, ref); err != nil {
		return err
	}
	p, err := openPlace(ref.Location)
	if err != nil {
		return err
	}
	defer p.Close()
	stored, err := p.escrow(ref.Variable)
	if errors.Is(err, store.ErrNotFound) || err == nil && stored.Run != run {
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.remove(escrowName(p.base, ref.Variable)); err != nil {
		return err
	}
	return p.sync()
}

func (p *place) escrow(variable string) (store.Escrow, error) {
	name := escrowName(p.base, variable)
	_, text, err := p.read(name)
	if err != nil {
		return store.Escrow{}, err
	}
	var f escrowFile
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	// The decoder's own words may quote what it read.
	if err := d.Decode(&f); err != nil || f.Format != escrowFormat || f.Run == "" || f.New == "" {
		return store.Escrow{}, fmt.Errorf("%s is no escrow of format %d: look at it before you remove it", filepath.Join(p.dir, name), escrowFormat)
	}
	return store.Escrow{Run: f.Run, Old: secret.NewValue(f.Old), New: secret.NewValue(f.New)}, nil
}

func seal(e store.Escrow) ([]byte, error) {
	f := escrowFile{Format: escrowFormat, Run: e.Run, Old: e.Old.Reveal(), New: e.New.Reveal()}
	if !utf8.ValidString(f.Old) || !utf8.ValidString(f.New) {
		return nil, fmt.Errorf("a value of run %s is %w: it is not UTF-8", e.Run, store.ErrAmbiguous)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("encoding the escrow of run %s: %w", e.Run, err)
	}
	return b.Bytes(), nil
}

func escrowName(base, variable string) string { return "." + base + ".rekey-" + variable + ".escrow" }

// escrowDraft begins the names of a run's escrows in the making. "=" is in no name of
// a variable, nor in one of a prepared copy.
func escrowDraft(base, variable, run string) string {
	return escrowName(base, variable) + "=" + run + "="
}
