package jobs

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"rekey/audit/ledger"
)

// beat keeps the lease, looks for the dead, and draws the safety net now and then. It
// ends with e.life. joined is when the first lease began, by this
// process's monotonic clock.
func (e *Engine) beat(joined time.Time) {
	defer close(e.beatDone)
	ep := e.here()
	doom := e.doom(ep, joined)
	defer func() { doom.Stop() }()
	net := time.Now().Add(netEvery)

	for e.pause(e.cfg.Beat) {
		if ep.ctx.Err() == nil {
			drawn := time.Now().After(net)
			sent, err := e.tick(ep, drawn)
			switch {
			case err == nil:
				doom.Reset(e.patience() - time.Since(sent))
				if drawn {
					net = time.Now().Add(netEvery)
				}
				continue
			case !errors.Is(err, ledger.ErrFenced):
				if !e.isStopping() {
					e.cfg.Log.Warn("the lease could not be renewed", "err", err)
				}
				continue
			}
		}
		doom.Stop()
		if errors.Is(context.Cause(ep.ctx), errStopping) {
			return
		}
		e.cfg.Log.Warn("this process was taken for dead; its work is dropped and taken up anew", "replica", ep.id)
		e.end(ep, ledger.ErrFenced)
		next, sent := e.rejoin(ep)
		if next == nil {
			return
		}
		ep = next
		doom = e.doom(ep, sent)
	}
}

// patience is how long after the last renewal work goes on. It ends a little before
// the lease does, so that what is under way has time to notice.
func (e *Engine) patience() time.Duration { return e.cfg.Lease - e.cfg.Lease/6 }

// doom ends the epoch when the lease was not renewed in time. It runs beside the beat,
// which may itself be stuck in a database that does not answer. With the database to
// ourselves nobody can take over, so there is nothing to be afraid of.
func (e *Engine) doom(ep *epoch, sent time.Time) *time.Timer {
	if e.cfg.Exclusive {
		timer := time.NewTimer(time.Hour)
		timer.Stop()
		return timer
	}
	return time.AfterFunc(e.patience()-time.Since(sent), func() { e.end(ep, ledger.ErrFenced) })
}

// tick renews the lease and looks after the dead in one transaction, and answers a
// moment before the new lease began.
func (e *Engine) tick(ep *epoch, net bool) (time.Time, error) {
	ctx, cancel := context.WithTimeout(e.life, e.cfg.Lease)
	defer cancel()
	var (
		sent time.Time
		left harvest
	)
	err := e.cfg.Store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		sent = time.Now()
		// First our own lease: on SQLite a paused process would otherwise bury itself.
		if err := e.renew(ctx, tx, ep.id); err != nil {
			return err
		}
		var err error
		left, err = e.bury(ctx, tx, search{net: net})
		return err
	})
	if err == nil {
		e.tell(left)
	}
	return sent, err
}

// rejoin registers this process anew once the database answers; nil when the engine
// stops first. The old id is buried by name: we know best that nobody works under it.
func (e *Engine) rejoin(old *epoch) (*epoch, time.Time) {
	for try := 0; ; try++ {
		sent, err := e.join(e.life, []string{old.id}, false)
		if err == nil {
			ep := e.here()
			e.cfg.Log.Info("this process is back", "replica", ep.id)
			return ep, sent
		}
		e.cfg.Log.Warn("coming back is not possible yet", "err", err)
		if !e.pause(ownBackoff.delay(try)) {
			return nil, time.Time{}
		}
	}
}

// pause waits for d, give or take a fifth so that replicas do not march in step, and
// reports whether the heart should go on beating.
func (e *Engine) pause(d time.Duration) bool {
	timer := time.NewTimer(d - d/5 + rand.N(2*d/5+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-e.life.Done():
		return false
	}
}
