// Package jobs carries runs and deliveries on, whatever happens to the process. It
// is the only package that knows the job engine (River), and it exists because a job
// engine alone does not give what an emergency needs: River notices a dead process
// after half a minute at best, keeps error texts in clear, and lets a process that
// was merely paused go on as if nothing had happened.
//
// The division of labour: the ledger says who holds a run or a delivery and under
// which fence; a River job is nothing but a durable wake-up call that carries an id.
// So a wake-up too many is harmless (the claim decides), a wake-up can be thrown away
// as long as another is inserted in the same transaction, and nothing a person typed
// or a service answered ever reaches River's tables.
//
//	claim (ledger) → Work → one transaction {release, next wake-up}
//
// A replica proves that it is alive with a lease by the database's clock. When the
// lease passes, whoever notices first clears its holds, raises the fences and inserts
// fresh wake-ups, in one transaction. See docs/adr/0001-job-engine.md for what was
// measured.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"rekey/audit/ledger"
)

// Work carries a claimed run on. Its ctx is cancelled with cause ledger.ErrFenced as
// soon as this process knows that the run is (or may be) somebody else's, and ends
// when the engine is stopped the hard way. Between two steps it should look at
// Stopping(ctx) and return ErrHandOver when that is closed.
//
// What it returns decides what comes next, in the transaction that releases the run:
//
//	nil, run final            nothing more
//	nil, run Waiting          woken at the run's WakeAt
//	After(d)                  woken after d
//	ErrHandOver               woken at once, here or elsewhere
//	ledger.ErrFenced          nothing: the run's new holder goes on
//	any other error, a panic  woken after 0.5 s, 1 s, 2 s … 30 s, for ever
//
// A run may be woken more often than asked for: Work must find out from the run and
// its steps what there is to do.
type Work func(ctx context.Context, claimed ledger.Run) error

// Deliver tries one delivery once. It claims the delivery itself, as replica
// ReplicaID(ctx), and may release it in the transaction that records the success;
// where it does not, the engine releases it.
//
//	nil                                        woken again only if Sent < Wanted
//	an error with RetryAfter() time.Duration   woken after that
//	After(d)                                   woken after d
//	any other error, a panic                   woken after 1 s, 2 s, 4 s … 60 s, for ever
//
// Errors are matched with errors.Is and errors.As, so they may be wrapped.
type Deliver func(ctx context.Context, deliveryID string) error

// Config is what an engine needs. Store, Work and Deliver are required (InsertOnly
// needs the Store alone).
type Config struct {
	// Store is the ledger. Its database decides where the jobs live: the store has
	// Pool() *pgxpool.Pool and its transactions Pgx() pgx.Tx (PostgreSQL), or
	// DB() *sql.DB and SQL() *sql.Tx (SQLite).
	Store ledger.Store
	// Replica names this process for people, "host-pid" by default. The engine adds a
	// random part, because a restarted process must never pass for the one before it.
	Replica string
	Work    Work
	Deliver Deliver

	// Lease is how long a silent process counts as alive; default 3 s. Beat is how
	// often the lease is renewed and the dead are looked for; default 500 ms. With the
	// database to ourselves nobody watches the lease, and the defaults are 30 s and 5 s:
	// each beat costs a write to disk.
	Lease, Beat time.Duration
	// Runs and Deliveries are how many of each are worked at once; default 8 each.
	// They have queues of their own, so neither can starve the other.
	Runs, Deliveries int

	// Exclusive says that the caller holds the database's single-process lock
	// (SQLite): every other replica is dead by definition and is buried at Start, and
	// a late heartbeat does not stop work, because nobody else could take it over.
	Exclusive bool
	// Dead names replicas to bury at Start whatever their lease says.
	Dead []string

	Log *slog.Logger
	// Now is the clock that decides when a wake-up is due; default time.Now.
	Now func() time.Time
	// Panicked is told the value of a panic in Work or Deliver; it may carry anything,
	// so it must be scrubbed before it leaves the process.
	Panicked func(any)
}

// How things are timed where the caller has no say.
const (
	netEvery   = 5 * time.Second  // how often the safety net is drawn
	heldElse   = 2 * time.Second  // until a wake-up that met another holder comes back
	tryTimeout = 10 * time.Second // one try of one of the engine's own transactions
	maxDelay   = time.Hour        // the most a vendor's Retry-After can ask for
)

func (c Config) withDefaults() (Config, error) {
	if c.Store == nil {
		return c, errors.New("jobs: no store")
	}
	if c.Replica == "" {
		host, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("naming this replica: %w", err)
		}
		c.Replica = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	if len(c.Replica) > 64 {
		c.Replica = strings.ToValidUTF8(c.Replica[:64], "")
	}
	lease, beat := 3*time.Second, 500*time.Millisecond
	if c.Exclusive {
		lease, beat = 30*time.Second, 5*time.Second
	}
	c.Lease, c.Beat = positive(c.Lease, lease), positive(c.Beat, beat)
	if c.Beat > c.Lease/2 {
		return c, fmt.Errorf("jobs: a beat of %s cannot keep a lease of %s", c.Beat, c.Lease)
	}
	c.Runs = positive(c.Runs, 8)
	c.Deliveries = positive(c.Deliveries, 8)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Panicked == nil {
		c.Panicked = func(any) {}
	}
	return c, nil
}

func positive[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}
