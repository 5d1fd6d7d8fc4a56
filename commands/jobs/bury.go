package jobs

import (
	"context"

	"rekey/audit/ledger"
)

// harvest is what was taken over from the dead, for the log.
type harvest struct {
	replicas []string
	runs     int
	others   int
	netted   int
}

// search says how far a look for the dead goes.
type search struct {
	dead []string // declared dead whatever their lease says
	net  bool     // also look for work that was forgotten, however that came about
	self bool     // this process begins afresh or ends: what it had taken counts too
}

// bury takes over from the dead in the caller's transaction: the ledger clears their
// holds and raises the fences, the wake-ups they had taken are cancelled so that
// neither River nor the dead process, should it only have been paused, can bring them
// back or finish them, and fresh ones are inserted.
func (e *Engine) bury(ctx context.Context, tx ledger.Tx, s search) (harvest, error) {
	gone, err := tx.Bury(ctx, s.dead...)
	if err != nil {
		return harvest{}, err
	}
	found := len(gone.Replicas)+len(gone.Runs)+len(gone.Deliveries) > 0
	if !found && !s.net {
		return harvest{}, nil
	}
	h := harvest{replicas: gone.Replicas}
	again := map[wake]bool{}
	for _, id := range gone.Runs {
		again[wake{kindRun, id}] = true
	}
	for _, id := range gone.Deliveries {
		again[wake{kindDelivery, id}] = true
	}
	h.runs = len(gone.Runs)

	living, err := tx.Replicas(ctx)
	if err != nil {
		return harvest{}, err
	}
	names := make([]string, 0, len(living))
	for _, r := range living {
		if p := process(r.ID); p != e.process || !s.self {
			names = append(names, p)
		}
	}
	lost, err := e.queue.reclaim(ctx, tx, names)
	if err != nil {
		return harvest{}, err
	}
	for _, w := range lost {
		again[w] = true
	}
	h.others = len(again) - h.runs

	if s.net {
		forgotten, err := e.forgotten(ctx, tx)
		if err != nil {
			return harvest{}, err
		}
		for _, w := range forgotten {
			if !again[w] {
				again[w] = true
				h.netted++
			}
		}
	}
	for w := range again {
		if err := e.enqueue(ctx, tx, w, e.cfg.Now()); err != nil {
			return harvest{}, err
		}
	}
	return h, nil
}

// forgotten finds unfinished work that nobody holds, that is not waiting for a time to
// come, and for which there is no wake-up.
func (e *Engine) forgotten(ctx context.Context, tx ledger.Tx) ([]wake, error) {
	runs, err := tx.Runs(ctx, ledger.RunFilter{Active: true, Limit: 10_000})
	if err != nil {
		return nil, err
	}
	idle, err := e.queue.idle(ctx, tx)
	if err != nil {
		return nil, err
	}
	now := e.cfg.Now()
	for _, r := range runs {
		if r.Holder == "" && !(r.State == ledger.Waiting && r.WakeAt.After(now)) {
			idle = append(idle, wake{kindRun, r.ID})
		}
	}
	if len(idle) == 0 {
		return nil, nil
	}
	pending, err := e.queue.pending(ctx, tx)
	if err != nil {
		return nil, err
	}
	var forgotten []wake
	for _, w := range idle {
		if !pending[w] {
			forgotten = append(forgotten, w)
		}
	}
	return forgotten, nil
}

// tell logs what was taken over.
func (e *Engine) tell(h harvest) {
	if len(h.replicas)+h.runs+h.others > 0 {
		e.cfg.Log.Info("took over from dead replicas", "replicas", h.replicas, "runs", h.runs, "other", h.others)
	}
	if h.netted > 0 {
		e.cfg.Log.Warn("found work without a wake-up", "count", h.netted)
	}
}
