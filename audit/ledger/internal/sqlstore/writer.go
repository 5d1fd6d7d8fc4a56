package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rekey/audit/ledger"
)

const (
	// batchMax bounds how many calls share a commit. PostgreSQL keeps up to 64
	// subtransactions per session in shared memory; beyond that everybody slows down.
	batchMax = 48
	// patience is how long a call without a deadline is tried again while the
	// database is unreachable, busy or deadlocked.
	patience = 30 * time.Second
	// commitTimeout bounds the wait for the answer to COMMIT.
	commitTimeout = 10 * time.Second
	// resolveTimeout bounds the attempts to find out what became of a COMMIT.
	resolveTimeout = 10 * time.Second
	maxPause       = 250 * time.Millisecond
)

// write is the writer: it gathers the calls that wait, runs their functions one
// after the other in one transaction and commits once. While one commit is on its
// way to the disk the next batch gathers, so no call waits for company.
func (s *Store) write() {
	defer close(s.stopped)
	var aside [][]*call // waited for a lock in vain; tried again between the others
	for {
		var batch []*call
		if len(aside) == 0 {
			select {
			case c := <-s.calls:
				batch = append(batch, c)
			case <-s.closing:
				return
			}
		}
		batch = s.gather(batch)
		aside = append(aside, s.commitAll(batch)...)
		if len(aside) > 0 {
			aside = append(aside[1:], s.commitAll(aside[0])...)
		}
		if s.isClosing() {
			for _, c := range slices.Concat(aside...) {
				c.end(ledger.ErrClosed)
			}
			return
		}
	}
}

// gather adds the calls that are waiting right now.
func (s *Store) gather(batch []*call) []*call {
	for len(batch) < batchMax {
		select {
		case c := <-s.calls:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

// commitAll tries the batch until every call has its answer, and answers those
// that must wait for somebody else's lock.
func (s *Store) commitAll(batch []*call) (aside [][]*call) {
	for try := 1; ; try++ {
		batch = s.drop(batch)
		if len(batch) == 0 {
			return aside
		}
		a := &attempt{s: s, batch: batch}
		err := a.run()
		batch, aside = a.rest(), append(aside, a.aside...)
		switch {
		case err == nil:
			return aside
		case errors.Is(err, errAgain):
			s.reopen(batch, nil)
		default:
			s.reopen(batch, err)
			batch = s.drop(batch)
			s.pause(batch, try)
		}
	}
}

// drop ends the calls whose ctx has ended or whose patience is exhausted, and
// answers the others.
func (s *Store) drop(batch []*call) (rest []*call) {
	for _, c := range batch {
		s.mu.Lock()
		cause, gone := c.cause, c.phase == left
		s.mu.Unlock()
		switch {
		case s.isClosing() && cause != nil:
			c.end(fmt.Errorf("%w (last problem: %w)", ledger.ErrClosed, cause))
		case gone || c.ctx.Err() != nil:
			c.end(notStarted(c.ctx, cause))
		case cause != nil && time.Since(c.since) > patience:
			c.end(fmt.Errorf("giving up after %s: %w", patience, cause))
		default:
			rest = append(rest, c)
		}
	}
	return rest
}

// pause waits before the next attempt, a little longer each time, but not longer
// than any caller does.
func (s *Store) pause(batch []*call, try int) {
	ctx, cancel := bound(batch)
	defer cancel()
	timer := time.NewTimer(min(time.Duration(try*try)*2*time.Millisecond, maxPause))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-s.closing:
	}
}

// end gives c its answer.
func (c *call) end(err error) {
	c.err = err
	close(c.done)
}

func (c *call) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (s *Store) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// bound answers a ctx that ends as soon as that of any caller does, so that a slow
// statement of one cannot hold up the others past their deadlines.
func bound(batch []*call) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	b := bounded{Context: ctx}
	var undo []func() bool
	for _, c := range batch {
		if d, ok := c.ctx.Deadline(); ok && (b.deadline.IsZero() || d.Before(b.deadline)) {
			b.deadline = d
		}
		undo = append(undo, context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) }))
	}
	return b, func() {
		for _, u := range undo {
			u()
		}
		cancel(nil)
	}
}

// bounded tells its deadline but leaves ending to the callers' own ctx: whenever it
// has ended, so has one of theirs, and the next attempt is without that caller.
type bounded struct {
	context.Context
	deadline time.Time
}

func (b bounded) Deadline() (time.Time, bool) { return b.deadline, !b.deadline.IsZero() }

// lent is the ctx of the batch with the values of one caller's.
type lent struct {
	context.Context
	values context.Context
}

func (l lent) Value(key any) any { return l.values.Value(key) }
