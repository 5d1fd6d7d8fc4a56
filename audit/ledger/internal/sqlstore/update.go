package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/audit/ledger"
)

// Grace is how long after its deadline a caller may be kept when COMMIT has been
// sent, to learn the result instead of answering ErrUnknownOutcome.
const Grace = 250 * time.Millisecond

// phase is how far a call has come.
type phase int

const (
	open   phase = iota // nothing sent: its caller may still walk away
	sealed              // COMMIT is under way
	left                // its caller walked away: nothing of it may be committed
)

// call is one Update, from the caller's side and from the writer's.
type call struct {
	ctx   context.Context
	fn    func(ctx context.Context, tx ledger.Tx) error
	since time.Time

	turn chan turn     // writer → caller: your fn, now
	ran  chan error    // caller → writer: what fn answered
	done chan struct{} // closed by the writer once err is final

	// Of the writer, readable by the caller after done.
	err     error
	result  error // what fn answered in this attempt
	entries []pending

	// Guarded by Store.mu.
	phase phase
	cause error // the last thing that made an attempt fail
}

// turn is a transaction lent to a caller.
type turn struct {
	ctx context.Context
	tx  ledger.Tx
}

// errGone is what fn "answered" when it ended its goroutine (runtime.Goexit, as
// testing.T.Fatal does).
var errGone = errors.New("transaction function ended its goroutine")

// Update implements ledger.Store. fn runs on the caller's own goroutine, when the
// writer gives it its turn; so Update never returns while fn runs, and fn must wait
// for nothing but tx.
func (s *Store) Update(ctx context.Context, fn func(ctx context.Context, tx ledger.Tx) error) error {
	if ctx.Err() != nil {
		return notStarted(ctx, nil)
	}
	c := &call{
		ctx: ctx, fn: fn, since: time.Now(),
		turn: make(chan turn), ran: make(chan error), done: make(chan struct{}),
	}
	select {
	case s.calls <- c:
	case <-ctx.Done():
		return notStarted(ctx, nil)
	case <-s.closing:
		return ledger.ErrClosed
	}
	for {
		select {
		case t := <-c.turn:
			c.run(t)
		case <-c.done:
			return c.finish()
		case <-ctx.Done():
			return s.leave(c)
		}
	}
}

// run calls fn and hands its answer to the writer whatever fn does.
func (c *call) run(t turn) {
	err := errGone
	defer func() {
		if v := recover(); v != nil {
			err = newPanic(v)
		}
		c.ran <- err
	}()
	err = c.fn(t.ctx, t.tx)
}

// finish hands the caller its result.
func (c *call) finish() error {
	if c.err != nil {
		return c.err
	}
	for _, p := range c.entries {
		*p.target = p.entry
	}
	return nil
}

// leave ends a call whose ctx has ended.
func (s *Store) leave(c *call) error {
	if gone, cause := s.walkAway(c); gone {
		return notStarted(c.ctx, cause)
	}
	timer := time.NewTimer(Grace)
	defer timer.Stop()
	select {
	case <-c.done:
		return c.finish()
	case <-timer.C:
	}
	if gone, cause := s.walkAway(c); gone { // the commit failed and was about to be tried again
		return notStarted(c.ctx, cause)
	}
	return unknown(context.Cause(c.ctx))
}

// walkAway makes certain that nothing of c is committed, if that is still possible.
func (s *Store) walkAway(c *call) (gone bool, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.phase == sealed {
		return false, nil
	}
	c.phase = left
	return true, c.cause
}

// seal marks the calls as being committed, unless a caller has walked away or its
// ctx has ended; then it answers false and nothing may be committed.
func (s *Store) seal(batch []*call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range batch {
		if c.phase == left || c.ctx.Err() != nil {
			return false
		}
	}
	for _, c := range batch {
		c.phase = sealed
	}
	return true
}

// reopen is the way back after a commit that was certainly rolled back, or an
// attempt that failed with cause.
func (s *Store) reopen(batch []*call, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range batch {
		if c.phase == sealed {
			c.phase = open
		}
		if cause != nil {
			c.cause = cause
		}
	}
}

func notStarted(ctx context.Context, cause error) error {
	if cause == nil {
		return fmt.Errorf("%w: %w", ledger.ErrNotStarted, context.Cause(ctx))
	}
	return fmt.Errorf("%w: %w (last problem: %w)", ledger.ErrNotStarted, context.Cause(ctx), cause)
}

func unknown(cause error) error { return fmt.Errorf("%w: %w", ledger.ErrUnknownOutcome, cause) }
