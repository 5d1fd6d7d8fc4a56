package jobs

// answer answers one wake-up with once, which says whether it wants another try in the
// next epoch. An error puts the wake-up back.
func (e *Engine) answer(w wake, once func(*epoch, *seat, wake) (again bool)) error {
	for {
		if e.isStopping() {
			return errStopping // fetched at the last moment
		}
		ep, err := e.await()
		if err != nil {
			return err
		}
		seat, err := e.guard.take(ep.ctx, w, ep, e.cfg.Lease)
		switch {
		case err != nil:
			continue // the epoch ended: try in the next
		case seat == nil:
			return nil
		}
		again := once(ep, seat, w)
		e.guard.leave(w, seat)
		if !again {
			return nil
		}
	}
}
