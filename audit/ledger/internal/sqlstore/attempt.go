package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// errAgain ends an attempt that is to be followed by another at once: a caller's
// deadline passed, or one call made the transaction useless for its neighbours.
var errAgain = errors.New("to be run again")

// attempt is one transaction on behalf of a batch of calls.
type attempt struct {
	s     *Store
	batch []*call
	// aside holds the calls that wait for somebody else's lock. They were rolled
	// back and are to be tried again, each group on its own, so that they hold up
	// nobody else (above all no replica's lease).
	aside [][]*call
}

// run carries the attempt out. A nil error means that every call of the batch has
// its answer or is aside. After an error everything was rolled back, and the calls
// that have no answer and are not aside are to be tried again.
func (a *attempt) run() error {
	ctx, cancel := bound(a.batch)
	defer cancel()
	tx, err := a.s.db.Begin(ctx)
	if err != nil {
		return a.retry(ctx, fmt.Errorf("opening transaction: %w", err))
	}
	kept, err := a.calls(ctx, tx)
	if err != nil || len(kept) == 0 {
		tx.Rollback()
		return a.settle(ctx, tx, err)
	}
	var entries []pending
	for _, c := range kept {
		entries = append(entries, c.entries...)
	}
	mark, err := chain(ctx, tx, a.s.dialect, a.s.key, a.s.now(), entries)
	if ctx.Err() == nil && a.s.dialect.Blocked(err) { // another replica holds the head
		tx.Rollback()
		a.putAside(err, slices.DeleteFunc(kept, func(c *call) bool { return len(c.entries) == 0 })...)
		return errAgain
	}
	if err == nil && !a.s.seal(kept) {
		err = errAgain
	}
	if err != nil {
		tx.Rollback()
		return a.settle(ctx, tx, err)
	}
	for _, c := range kept {
		entries = entries[copy(c.entries, entries):]
	}
	return a.commit(ctx, tx, mark)
}

// calls gives every call its turn and answers those whose changes stay.
func (a *attempt) calls(ctx context.Context, tx Transaction) (kept []*call, err error) {
	for i, c := range a.batch {
		ok, err := a.call(ctx, tx, c, "rekey_"+strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, c)
		}
	}
	return kept, nil
}

// call gives c its turn, under a savepoint unless none is needed, and reports
// whether its changes stay.
func (a *attempt) call(ctx context.Context, tx Transaction, c *call, savepoint string) (kept bool, err error) {
	d := a.s.dialect
	nested := len(a.batch) > 1 || d.Fragile
	if nested {
		if _, err := tx.Exec(ctx, "SAVEPOINT "+savepoint); err != nil {
			return false, fmt.Errorf("setting savepoint: %w", err)
		}
	}
	t := &Tx{q: tx, dialect: d, key: a.s.key}
	select {
	case c.turn <- turn{ctx: lent{ctx, c.ctx}, tx: tx.Expose(t)}:
	case <-c.ctx.Done():
		return false, errAgain
	}
	c.result = <-c.ran
	if d.Blocked(t.broken) || d.Transient(t.broken) || c.result == nil {
		c.result = t.broken // what fn made of it does not matter
	}
	t.end()
	c.entries = t.pending

	switch {
	case ctx.Err() != nil:
		return false, errAgain
	case c.result != nil && (!tx.Alive() || d.Transient(c.result)):
		return false, c.result
	case c.result == nil && nested:
		if _, err := tx.Exec(ctx, "RELEASE SAVEPOINT "+savepoint); err != nil {
			c.result = fmt.Errorf("keeping changes: %w", err)
		}
	}
	if c.result == nil {
		return true, nil
	}
	if d.Blocked(c.result) {
		a.putAside(c.result, c)
	}
	if nested {
		if _, err := tx.Exec(ctx, "ROLLBACK TO SAVEPOINT "+savepoint); err != nil {
			if ctx.Err() == nil && tx.Alive() {
				c.end(c.result) // its error ended the whole transaction: the others go on without it
			}
			return false, errAgain
		}
	}
	return false, nil
}

// commit sends COMMIT and answers the calls.
func (a *attempt) commit(ctx context.Context, tx Transaction, mark string) error {
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	outcome, err := tx.Commit(wait)
	if outcome == InDoubt && mark != "" {
		if outcome = a.resolve(mark); outcome == Aborted {
			return a.retry(ctx, fmt.Errorf("committing: %w", err))
		}
	}
	switch outcome {
	case Committed:
		a.answer(nil)
		return nil
	case Aborted:
		return a.settle(ctx, tx, fmt.Errorf("committing: %w", err))
	default:
		a.answer(unknown(err))
		return nil
	}
}

// resolve finds out what became of a COMMIT whose answer was lost.
func (a *attempt) resolve(mark string) Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	for {
		if o := a.s.db.Resolve(ctx, mark); o != InDoubt {
			return o
		}
		select {
		case <-ctx.Done():
			return InDoubt
		case <-time.After(maxPause / 10):
		}
	}
}

// settle decides what follows an attempt that was rolled back: another one, or,
// when that would only meet the same error again, that error as the answer.
func (a *attempt) settle(ctx context.Context, tx Transaction, err error) error {
	d := a.s.dialect
	if err != nil && (errors.Is(err, errAgain) || ctx.Err() != nil || !tx.Alive() || d.Transient(err)) {
		return a.retry(ctx, err)
	}
	a.answer(err)
	return nil
}

// retry takes the calls that were put aside back: what they were rolled back from
// is gone.
func (a *attempt) retry(ctx context.Context, err error) error {
	a.aside = nil
	if ctx.Err() != nil {
		return errAgain
	}
	return err
}

// answer ends the calls that were not put aside: those whose function refused with
// its error, the others with err. Refusals had to wait until here: what they were
// decided on may have been a neighbour's change.
func (a *attempt) answer(err error) {
	for _, c := range a.batch {
		switch {
		case a.isAside(c):
		case c.result != nil:
			c.end(c.result)
		default:
			c.end(err)
		}
	}
}

func (a *attempt) putAside(cause error, calls ...*call) {
	a.s.reopen(calls, cause)
	a.aside = append(a.aside, calls)
}

func (a *attempt) isAside(c *call) bool {
	return slices.ContainsFunc(a.aside, func(group []*call) bool { return slices.Contains(group, c) })
}

// rest answers the calls that are neither answered nor aside.
func (a *attempt) rest() []*call {
	return slices.DeleteFunc(slices.Clone(a.batch), func(c *call) bool { return c.ended() || a.isAside(c) })
}
