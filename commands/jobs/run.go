package jobs

import (
	"context"
	"errors"
	"time"

	"rekey/audit/ledger"
)

// workRun answers one wake-up for a run.
func (e *Engine) workRun(id string) error { return e.answer(wake{kindRun, id}, e.runOnce) }

// runOnce claims the run, works it and settles. again asks for another try because the
// epoch ended before anything was claimed, so that nobody else was told.
func (e *Engine) runOnce(ep *epoch, seat *seat, w wake) (again bool) {
	run, ok, err := e.claim(ep, w)
	if err != nil || !ok {
		return err != nil
	}
	err = e.shielded(ep, w, func(ctx context.Context) error { return e.cfg.Work(ctx, run) })
	rung := e.guard.close(seat)
	e.settle(ep, w, func(ctx context.Context, tx ledger.Tx) (next, error) {
		r, txErr := tx.Run(ctx, w.id)
		if txErr != nil {
			return next{}, txErr
		}
		if r.Holder != ep.id || r.Fence != run.Fence {
			return next{}, nil // settled already, or not ours any more
		}
		if txErr := tx.ReleaseRun(ctx, w.id, ep.id, run.Fence); txErr != nil {
			return next{}, txErr
		}
		n := afterRun(r, err, e.cfg.Now(), e.failures.count(w))
		if rung && !r.State.Final() {
			n.wake, n.at = true, time.Time{} // now
		}
		return n, nil
	})
	return false
}

// claim takes the run for ep. ok is false when there is nothing to do: the run is over,
// unknown, or in good hands elsewhere.
func (e *Engine) claim(ep *epoch, w wake) (run ledger.Run, ok bool, err error) {
	err = e.insist(ep, "claiming", w, func(ctx context.Context, tx ledger.Tx) error {
		ok = false
		var err error
		if run, err = tx.Run(ctx, w.id); err != nil {
			return err
		}
		if run.State.Final() {
			return nil
		}
		if run.Holder == ep.id {
			// An earlier try was committed without our hearing of it: within this
			// process the seat makes sure that nobody else can be meant.
			ok = true
			return nil
		}
		run, err = tx.ClaimRun(ctx, w.id, ep.id)
		if errors.Is(err, ledger.ErrHeld) {
			// Its holder goes on. The wake-up comes back, because it may tell of
			// something that the holder has looked at already.
			return e.enqueue(ctx, tx, w, e.cfg.Now().Add(heldElse))
		}
		ok = err == nil
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) {
		e.cfg.Log.Error("woken for a run that does not exist", "run", w.id)
		return run, false, nil
	}
	return run, ok, err
}
