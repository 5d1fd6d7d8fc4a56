package jobs

import (
	"context"
	"sync"
	"time"
)

// guard sees to it that this process works a run or a delivery once at a time. The
// ledger's claim does the same between processes, but inside one a second wake-up
// would only meet its own process's hold; and it must not be lost either, for it may
// have been inserted because something changed after the first one looked.
type guard struct {
	mu   sync.Mutex
	busy map[wake]*seat
}

// seat is one wake-up being worked.
type seat struct {
	epoch *epoch
	rung  bool          // another wake-up came meanwhile
	shut  bool          // the follow-up is being decided: too late to ring
	done  chan struct{} // closed when the seat is free
}

// take answers the seat for w, or nil when the work under way was told to look again.
// Work of an epoch that is over gets up to grace to notice; after that it is left to
// its fence.
func (g *guard) take(ctx context.Context, w wake, ep *epoch, grace time.Duration) (*seat, error) {
	for {
		g.mu.Lock()
		old := g.busy[w]
		if old == nil {
			if g.busy == nil {
				g.busy = map[wake]*seat{}
			}
			s := &seat{epoch: ep, done: make(chan struct{})}
			g.busy[w] = s
			g.mu.Unlock()
			return s, nil
		}
		if old.epoch == ep && !old.shut {
			old.rung = true
			g.mu.Unlock()
			return nil, nil
		}
		g.mu.Unlock()

		patience := time.Duration(0)
		if old.epoch != ep {
			patience = grace
		}
		late, err := old.wait(ctx, patience)
		if err != nil {
			return nil, err
		}
		if late {
			g.evict(w, old)
		}
	}
}

// wait waits until the seat is free, for no longer than patience unless that is zero.
func (s *seat) wait(ctx context.Context, patience time.Duration) (late bool, err error) {
	var end <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		end = timer.C
	}
	select {
	case <-s.done:
		return false, nil
	case <-end:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// evict frees w's seat of somebody who does not get up.
func (g *guard) evict(w wake, s *seat) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy[w] == s {
		delete(g.busy, w)
	}
}

// close ends the time in which s can be rung and reports whether it was.
func (g *guard) close(s *seat) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.shut = true
	return s.rung
}

// leave frees the seat.
func (g *guard) leave(w wake, s *seat) {
	g.evict(w, s)
	close(s.done)
}
