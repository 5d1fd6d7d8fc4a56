package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"rekey/audit/ledger"
)

// settle commits what follows a piece of work: decide releases it and says what comes
// next, and the wake-up is inserted in the same transaction. It does not give up while
// the epoch lasts, because nobody else would take the work from a living process. lost
// reports that the epoch ended first: whoever buries it inserts the wake-ups.
func (e *Engine) settle(ep *epoch, w wake, decide func(context.Context, ledger.Tx) (next, error)) (lost bool) {
	var n next
	err := e.insist(ep, "settling", w, func(ctx context.Context, tx ledger.Tx) error {
		var err error
		if n, err = decide(ctx, tx); err != nil || !n.wake {
			return err
		}
		return e.enqueue(ctx, tx, w, n.at)
	})
	if err != nil {
		return !errors.Is(err, ledger.ErrNotFound)
	}
	e.failures.record(w, n.failed)
	return false
}

// insist tries a transaction until it is through, the epoch ends (its cause is
// answered), or the row does not exist.
func (e *Engine) insist(ep *epoch, doing string, w wake, fn func(context.Context, ledger.Tx) error) error {
	for try := 0; ; try++ {
		err := e.update(ep.ctx, fn)
		if err == nil || errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		if err := e.breathe(ep, doing, w, err, try); err != nil {
			return err
		}
	}
}

// breathe waits before the next try at a database that did not answer; it answers why
// the epoch ended when it did.
func (e *Engine) breathe(ep *epoch, doing string, w wake, err error, try int) error {
	if cause := context.Cause(ep.ctx); cause != nil {
		return cause
	}
	e.cfg.Log.Warn("the database refused; trying again", "doing", doing, "kind", w.kind, "id", w.id, "err", err)
	timer := time.NewTimer(ownBackoff.delay(try))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ep.ctx.Done():
		return context.Cause(ep.ctx)
	}
}

// shielded runs work so that a panic is an error like any other. River would keep the
// panic's value and trace in clear; here the value goes to the hook alone, and the log
// gets its type and the names of the functions on the stack, without arguments.
func (e *Engine) shielded(ep *epoch, w wake, work func(ctx context.Context) error) (err error) {
	ctx, cancel := context.WithCancel(ep.ctx)
	defer cancel()
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		err = errPanicked
		e.cfg.Log.Error("panic; the work will be tried again", "kind", w.kind, "id", w.id,
			"type", fmt.Sprintf("%T", v), "stack", stack())
		defer func() { _ = recover() }() // the hook may not do what it is there to hide
		e.cfg.Panicked(v)
	}()
	if err = work(ctx); err != nil && ep.ctx.Err() == nil && !expected(err) {
		e.cfg.Log.Warn("the work will be tried again", "kind", w.kind, "id", w.id, "err", err)
	}
	return err
}

// expected reports whether err is an ordinary way to end rather than a failure.
func expected(err error) bool {
	var after afterError
	return errors.Is(err, ErrHandOver) || errors.Is(err, ledger.ErrFenced) || errors.Is(err, ledger.ErrHeld) || errors.As(err, &after)
}

// stack lists the functions that led to a panic.
func stack() []string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	var names []string
	for {
		f, more := frames.Next()
		names = append(names, fmt.Sprintf("%s:%d", f.Function, f.Line))
		if !more {
			return names
		}
	}
}

func (e *Engine) isStopping() bool {
	select {
	case <-e.stopping:
		return true
	default:
		return false
	}
}
