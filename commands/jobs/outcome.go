package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/audit/ledger"
)

// ErrHandOver is returned by Work to give the run up between two steps: it is
// released and woken at once, by whoever is free.
var ErrHandOver = errors.New("handed over")

// After is returned by Work or Deliver to be woken again after d. It counts as a
// success: no back-off builds up.
func After(d time.Duration) error { return afterError(max(d, 0)) }

type afterError time.Duration

func (e afterError) Error() string { return fmt.Sprintf("again after %s", time.Duration(e)) }

type stoppingKey struct{}

// Stopping answers a channel that is closed when the engine wants to stop: finish the
// step at hand and return ErrHandOver. Outside an engine it answers nil, which never
// is ready.
func Stopping(ctx context.Context) <-chan struct{} {
	ch, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return ch
}

type replicaKey struct{}

// ReplicaID is the id under which the work of this ctx may claim. It changes when the
// process was taken for dead and came back, so it must be asked for each time. Outside
// an engine it is "".
func ReplicaID(ctx context.Context) string {
	id, _ := ctx.Value(replicaKey{}).(string)
	return id
}

// errPanicked stands for a panic; its value is not kept.
var errPanicked = errors.New("panicked")

// errStopping is the cause with which work is cancelled when stopping took too long.
var errStopping = errors.New("stopping")

// next is what follows a finished piece of work.
type next struct {
	wake   bool      // insert a wake-up
	at     time.Time // zero: now
	failed bool      // it was a failure: the back-off grows
}

// afterRun decides what follows when Work returned err and left the run as r. failures
// counts those before this one.
func afterRun(r ledger.Run, err error, now time.Time, failures int) next {
	var after afterError
	switch {
	case r.State.Final():
		return next{}
	case errors.Is(err, ErrHandOver):
		return next{wake: true}
	case errors.As(err, &after):
		return next{wake: true, at: now.Add(time.Duration(after))}
	case err == nil && r.State == ledger.Waiting && !r.WakeAt.IsZero():
		return next{wake: true, at: r.WakeAt}
	}
	// A nil error on a run that is neither final nor waiting lands here too: it made no
	// promise of when to go on, so it must neither be lost nor spin.
	return next{wake: true, at: now.Add(runBackoff.delay(failures)), failed: true}
}

// afterDelivery decides what follows when Deliver returned err; d is the delivery as
// it is now, sent how far it was before.
func afterDelivery(d ledger.Delivery, sent int64, err error, now time.Time, failures int) next {
	var (
		after afterError
		asked interface{ RetryAfter() time.Duration }
	)
	switch {
	case d.Sent >= d.Wanted:
		return next{}
	case errors.As(err, &after):
		return next{wake: true, at: now.Add(time.Duration(after))}
	case errors.Is(err, ledger.ErrHeld):
		return next{wake: true, at: now.Add(heldElse)}
	case errors.As(err, &asked):
		// A vendor that asks for "at once" after refusing would be hammered.
		wait := min(max(asked.RetryAfter(), deliverBackoff.first/2), maxDelay)
		return next{wake: true, at: now.Add(wait), failed: true}
	case err == nil && d.Sent > sent:
		return next{wake: true} // more was wanted while it was being sent
	}
	return next{wake: true, at: now.Add(deliverBackoff.delay(failures)), failed: true}
}
