// Package store is where a secret's value lives for a consumer. Each kind of
// place is a package of its own; package storetest holds the contract all pass.
//
// A store holds two slots per secret: Current (the variable a service signs with)
// and Previous (the variable under which it also accepts). A third place, the
// escrow, keeps the values of a rotation under way so that they survive a crash
// and never touch the database: AWSPENDING in AWS, a 0600 file beside the .env.
package store

import (
	"context"
	"errors"

	"rekey/commands/secret"
)

// Sentinel errors; match with errors.Is. Their texts are for people.
var (
	// ErrConflict: the place changed underneath between Read and Write.
	ErrConflict = errors.New("changed underneath")
	// ErrUnsafe: the place is open to others (mode, owner, symlink) and was refused.
	ErrUnsafe = errors.New("unsafe")
	// ErrNotFound: the file or the variable does not exist.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous: the place would mean one value to one consumer and another value
	// to another (a "$" in an env file), so it can neither be trusted nor written.
	ErrAmbiguous = errors.New("ambiguous")
)

// Ref names one consumer's copy of a secret.
type Ref struct {
	// Location is the env file, the name or ARN of the AWS secret, or the path of
	// the Vault secret.
	Location string
	// Variable is the name of the variable, or the key inside a secret that holds
	// several, which holds Current; "" where the whole secret is the value.
	Variable string
	Previous string // the same for Previous; "" for a consumer that accepts nothing old
}

// State is what a place holds. Revision changes whenever anything in the place
// changes; it is opaque and not secret. It means something only to the Store that
// answered it: after a restart, Read again.
type State struct {
	Current  secret.Value
	Previous secret.Value // zero when absent or empty
	Revision string
}

// Fence answers nil while the caller still owns the run it works for. A store
// calls it after everything is prepared and right before the one act that makes
// the change visible; an error abandons the change.
type Fence func(ctx context.Context) error

// Change is one write. Want is what the place shall hold afterwards (Revision is
// ignored; a zero Previous removes the variable). From is the Revision the
// decision was made on. Run and FenceNumber name the owner: a store uses them to
// mark what it prepares, so that a successor can sweep it away.
type Change struct {
	From        string
	Want        State
	Run         string
	FenceNumber int64
	Fence       Fence
}

// Escrow is what a rotation keeps in the place where secrets live until it ends.
type Escrow struct {
	Run string
	Old secret.Value
	New secret.Value
}

// Store reads and changes one kind of place. Methods are safe for concurrent use.
type Store interface {
	Read(ctx context.Context, ref Ref) (State, error)
	// Write makes the place hold c.Want. It is idempotent: where the place holds it
	// already nothing is touched and changed is false. ErrConflict when the place is
	// not at c.From (and does not hold c.Want).
	Write(ctx context.Context, ref Ref, c Change) (changed bool, err error)
	// Deposit stores e durably beside the place unless the run has one there
	// already; either way it answers what is stored. Another run's escrow is
	// ErrConflict. fence as in Write.
	Deposit(ctx context.Context, ref Ref, e Escrow, fence Fence) (Escrow, error)
	// Withdraw reads the run's escrow; ErrNotFound.
	Withdraw(ctx context.Context, ref Ref, run string) (Escrow, error)
	// Discard removes the run's escrow; removing what is not there is no error.
	Discard(ctx context.Context, ref Ref, run string) error
	// Sweep removes what earlier owners of the run (a smaller fence number)
	// prepared and did not make visible. After it returns no such owner can make a
	// change visible any more: its prepared copy is gone and preparing another one
	// ends at its Fence. Call it after raising the fence, before anything else.
	Sweep(ctx context.Context, ref Ref, run string, fenceNumber int64) error
}
