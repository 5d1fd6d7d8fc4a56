package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"rekey/audit/ledger"
	"rekey/audit/ledger/sqlite"
	"rekey/commands"
	"rekey/commands/journal"
)

const (
	// orphanAfter is how long a run may stand still before an App that only watches
	// asks whether the process that works is still there. A supervisor has restarted
	// it by then.
	orphanAfter = 5 * time.Second
	// tellWithin is how long an App that works alone waits for people to be told.
	tellWithin = 10 * time.Second
)

// Carry works, without Slack, until a run has ended or only waits for its overlap,
// calling seen at each change. An App that cannot work, because another process has
// the database, watches that one do it, and takes over when it is gone.
func (a *App) Carry(ctx context.Context, runID string, seen func(ledger.Run, []ledger.Step)) (ledger.Run, error) {
	if err := a.begin(ctx); err != nil {
		return ledger.Run{}, err
	}
	learning, stop := context.WithCancel(ctx)
	defer stop()
	go a.keepLearning(learning) // another replica may make a value that this one tells of
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last, moved := int64(0), time.Now()
	for {
		run, steps, err := a.Look(ctx, runID)
		if err != nil {
			return run, err
		}
		if run.Version != last {
			last, moved = run.Version, time.Now()
			seen(run, steps)
		}
		idle, err := a.idle(ctx, run)
		if err != nil {
			return run, err
		}
		if idle {
			if a.working {
				err = a.drain(ctx, run)
			}
			// While people were told, a short overlap may have ended.
			if err != nil || !a.working || ctx.Err() != nil || run.Rests(time.Now()) {
				return run, err
			}
		}
		if !a.working && time.Since(moved) > orphanAfter {
			moved = time.Now()
			if err := a.takeOver(ctx); err != nil {
				return run, err
			}
		}
		select {
		case <-ctx.Done():
			return run, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// idle reports that nothing is about to happen to a run. A batch follows its members a
// moment later: one that waits is not idle while a member is asked for something or
// stands for a decision, nor when all of them have ended.
func (a *App) idle(ctx context.Context, run ledger.Run) (bool, error) {
	now := time.Now()
	if run.Kind != ledger.KindBatch || run.State.Final() || !run.Rests(now) {
		return commands.Idle(run, now), nil
	}
	waiting, working := false, false
	err := a.store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		members, err := tx.Runs(ctx, ledger.RunFilter{Batch: run.ID, Limit: journal.MaxMembers})
		waiting, working = false, false
		for _, m := range members {
			waiting = waiting || !m.State.Final()
			working = working || !commands.Idle(m, now)
		}
		return err
	})
	return waiting && !working, err
}

// begin starts the job engine of an App that can work; Close stops it.
func (a *App) begin(ctx context.Context) error {
	if !a.working || a.begun {
		return nil
	}
	if err := a.jobs.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("starting the job engine: %w", err)
	}
	a.begun = true
	return nil
}

// takeOver makes a watching App a working one where the process that worked is gone.
func (a *App) takeOver(ctx context.Context) error {
	unlock, err := sqlite.Lock(a.cfg.Settings.SQLitePath())
	if errors.Is(err, ledger.ErrLocked) {
		return nil // it is there, and only slow
	}
	if err != nil {
		return err
	}
	a.unlock, a.working = unlock, true
	if err := a.wire(ctx); err != nil {
		return err
	}
	return a.begin(ctx)
}

// drain waits a little for people to be told before a process that works alone goes
// away. What cannot be told now stays recorded and is told by the next process.
func (a *App) drain(ctx context.Context, run ledger.Run) error {
	for deadline := time.Now().Add(tellWithin); time.Now().Before(deadline) && ctx.Err() == nil; {
		untold, err := a.Untold(ctx, run.ID)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if !untold.soon {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// Untold is what people were not told yet about a run.
type Untold struct {
	Slack, PagerDuty int // messages and pages that are recorded and not delivered

	soon bool // some of them can be delivered by this process
}

// Untold counts what is still to be told about a run and its members. A page for which PagerDuty is
// turned off in the catalogue is not missed.
func (a *App) Untold(ctx context.Context, runID string) (Untold, error) {
	var left []ledger.Delivery
	err := a.store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		members, err := tx.Runs(ctx, ledger.RunFilter{Batch: runID, Limit: journal.MaxMembers})
		if err != nil {
			return err
		}
		left = nil
		for _, r := range append(members, ledger.Run{ID: runID}) {
			of, err := tx.Deliveries(ctx, r.ID)
			if err != nil {
				return err
			}
			left = append(left, of...)
		}
		return nil
	})
	var u Untold
	s := a.cfg.Settings
	for _, d := range left {
		if d.Sent >= d.Wanted {
			continue
		}
		switch d.Kind {
		case journal.PageTrigger, journal.PageResolve:
			if a.cfg.Catalogue.PagerDuty.Enabled {
				u.PagerDuty++
				u.soon = u.soon || !s.PagerDutyRoutingKey.IsZero()
			}
		default:
			u.Slack++
			u.soon = u.soon || !s.SlackBotToken.IsZero()
		}
	}
	return u, err
}

// Alone reports that no other rekey works on this database.
func (a *App) Alone(ctx context.Context) (bool, error) {
	if a.unlock != nil {
		return true, nil // we have what only one can have, whatever lease a dead one left
	}
	var others []ledger.Replica
	err := a.store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		var err error
		others, err = tx.Replicas(ctx)
		return err
	})
	host, _ := os.Hostname() // "" compares well enough
	others = slices.DeleteFunc(others, func(r ledger.Replica) bool { return r.Host == host && r.PID == os.Getpid() })
	return len(others) == 0, err
}
