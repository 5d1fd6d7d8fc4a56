package jobs

import (
	"context"
	"errors"

	"rekey/audit/ledger"
)

// workDelivery answers one wake-up for a delivery.
func (e *Engine) workDelivery(id string) error {
	return e.answer(wake{kindDelivery, id}, e.deliverOnce)
}

// deliverOnce lets Deliver try and settles; again as in runOnce.
func (e *Engine) deliverOnce(ep *epoch, seat *seat, w wake) (again bool) {
	before, ok, err := e.look(ep, w)
	if err != nil || !ok {
		return err != nil
	}
	err = e.shielded(ep, w, func(ctx context.Context) error { return e.cfg.Deliver(ctx, w.id) })
	rung := e.guard.close(seat)
	if err == nil {
		// The ordinary case costs no write: sent, and released by Deliver itself. What
		// is wanted from now on brings a wake-up of its own.
		after, open, err := e.look(ep, w)
		if err != nil {
			return true
		}
		if !open && after.Holder != ep.id {
			e.failures.record(w, false)
			return false
		}
	}
	lost := e.settle(ep, w, func(ctx context.Context, tx ledger.Tx) (next, error) {
		d, txErr := tx.Delivery(ctx, w.id)
		if txErr != nil {
			return next{}, txErr
		}
		if d.Holder == ep.id {
			if txErr := tx.ReleaseDelivery(ctx, w.id, ep.id, d.Fence); txErr != nil {
				return next{}, txErr
			}
		}
		n := afterDelivery(d, before.Sent, err, e.cfg.Now(), e.failures.count(w))
		if rung && n.wake && !n.failed {
			n.at = e.cfg.Now()
		}
		return n, nil
	})
	// A delivery is not held while it waits for its turn to be claimed, so nobody is
	// told when the epoch ends then; the next epoch has to look.
	return lost
}

// look reads the delivery; ok is false when there is nothing to send.
func (e *Engine) look(ep *epoch, w wake) (d ledger.Delivery, ok bool, err error) {
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(ep.ctx, tryTimeout)
		err = e.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
			var err error
			d, err = tx.Delivery(ctx, w.id)
			return err
		})
		cancel()
		switch {
		case err == nil:
			return d, d.Sent < d.Wanted, nil
		case errors.Is(err, ledger.ErrNotFound):
			e.cfg.Log.Error("woken for a delivery that does not exist", "delivery", w.id)
			return d, false, nil
		}
		if err := e.breathe(ep, "looking at", w, err, try); err != nil {
			return d, false, err
		}
	}
}
