// Package sqlstore is what the two databases of the security log have in common:
// one text of SQL, one group commit and one walk over the chain. It exists so that
// PostgreSQL and SQLite cannot drift apart; their own packages hold only what
// differs: opening, migrating, transactions and error codes.
//
// SQL here is the part both understand. Placeholders are $1, $2 …; times are
// microseconds since 1970 UTC, 0 for none; truth values are 0 and 1; the detail of
// an entry is JSON with sorted names.
package sqlstore

import (
	"context"

	"rekey/audit/ledger"
)

// Querier runs statements in one transaction.
type Querier interface {
	// Exec answers how many rows were changed.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	Query(ctx context.Context, query string, args ...any) (Rows, error)
}

// Rows is a result being read. Close must be called; it may be called twice.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close()
}

// Outcome is what became of a COMMIT.
type Outcome int

// The outcomes.
const (
	InDoubt   Outcome = iota // the answer was lost
	Committed                // durable
	Aborted                  // rolled back for certain
)

// Transaction is one transaction of a database.
type Transaction interface {
	Querier
	// Expose wraps t in the database's own type, which also gives callers the
	// driver's handle.
	Expose(t *Tx) ledger.Tx
	// Commit makes the transaction durable. The error explains any outcome but
	// Committed.
	Commit(ctx context.Context) (Outcome, error)
	// Rollback undoes the transaction, bounded in time, and gives up the connection
	// if it must.
	Rollback()
	// Alive reports whether the transaction can still be used after an error: the
	// connection is there.
	Alive() bool
}

// Database opens transactions and knows what its errors mean.
type Database interface {
	// Begin starts a read-write transaction that the database itself ends some time
	// after ctx, should this process be unable to.
	Begin(ctx context.Context) (Transaction, error)
	// Snapshot starts a read-only transaction.
	Snapshot(ctx context.Context) (Transaction, error)
	// Resolve asks, on another connection, what became of the transaction that
	// Dialect.Mark named.
	Resolve(ctx context.Context, mark string) Outcome
	// Close releases all connections.
	Close() error
}

// Dialect is what differs in the SQL.
type Dialect struct {
	// Clock answers an expression for the current time in microseconds.
	Clock func() string
	// ForUpdate is appended to a SELECT to lock its rows.
	ForUpdate string
	// Mark is an expression for a text that names the running transaction, '' when
	// it has changed nothing or the outcome of COMMIT is never in doubt.
	Mark string
	// Fragile says that a failed statement may end the whole transaction: then even
	// a call that is alone in it runs under a savepoint, whose loss tells.
	Fragile bool
	// Unique, Transient and Blocked answer false for a nil error.
	//
	// Unique reports whether err is the violation of a unique index.
	Unique func(err error) bool
	// Transient reports whether err goes away when the transaction is run again: a
	// deadlock, a serialization failure, a database that is starting or busy.
	Transient func(err error) bool
	// Blocked reports whether err means that a lock was waited for in vain.
	Blocked func(err error) bool
}
