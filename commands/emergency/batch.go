package emergency

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/jobs"
	"rekey/commands/journal"
)

const (
	// notYet is how long a member waits for its turn before it looks again by itself;
	// the batch wakes it earlier.
	notYet = 15 * time.Second
	// lookAgain is how long a batch waits for word from the member at work.
	lookAgain = 15 * time.Second
)

// members are the runs of a batch, in the order of their turns.
func (e *Engine) members(ctx context.Context, batch string) (list []ledger.Run, err error) {
	err = e.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		list, err = tx.Runs(ctx, ledger.RunFilter{Batch: batch, Limit: journal.MaxMembers})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the members of batch %s: %w", batch, err)
	}
	slices.SortFunc(list, func(a, b ledger.Run) int { return a.Turn - b.Turn })
	return list, nil
}

// itsTurn reports whether a run may be worked. Members of a batch go one at a time: one
// that waits for its overlap, or for a person, lets the next begin, and so does one that
// has ended, however it did. On the way back the order is the other way round.
func (e *Engine) itsTurn(ctx context.Context, run ledger.Run) (bool, error) {
	if run.Batch == "" {
		return true, nil
	}
	all, err := e.members(ctx, run.Batch)
	return err == nil && mayGo(all, run, e.cfg.Now()), err
}

func mayGo(all []ledger.Run, run ledger.Run, now time.Time) bool {
	back := goesBack(run)
	if run.State != ledger.Queued && !back {
		return true // it has begun
	}
	return !slices.ContainsFunc(all, func(other ledger.Run) bool {
		if other.ID == run.ID || other.Rests(now) {
			return false
		}
		if back {
			return goesBack(other) && other.Turn > run.Turn
		}
		return other.Turn < run.Turn
	})
}

func goesBack(r ledger.Run) bool {
	return r.State == ledger.RollingBack || r.Asked == ledger.WishRollback
}

// conduct carries a batch on: it wakes whoever's turn it is, tells what the members do
// not tell by themselves, and ends when all of them have ended.
func (e *Engine) conduct(ctx context.Context, run ledger.Run) error {
	j, err := journal.Open(ctx, journal.Config{Store: e.cfg.Store, Queue: e.cfg.Queue, Now: e.cfg.Now, Observer: e.cfg.Observer}, run)
	if err != nil {
		return err
	}
	all, err := e.members(ctx, run.ID)
	if err != nil {
		return err
	}
	if run.StartedAt.IsZero() {
		if err := j.Commit(ctx, journal.Change{
			Entry: ledger.Entry{Actor: "rekey", Action: "batch.started", Result: "started", Detail: map[string]string{"members": fmt.Sprint(len(all))}},
			Amend: func(r *ledger.Run) { r.State, r.StartedAt = ledger.Running, e.cfg.Now() },
		}); err != nil {
			return err
		}
	}
	if err := e.follow(ctx, j, all); err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(m ledger.Run) bool { return !m.State.Final() }) {
		return e.endBatch(ctx, j, all)
	}
	busy, err := e.wakeNext(ctx, all)
	if err != nil {
		return err
	}
	return e.rest(ctx, j, all, busy)
}

// follow takes over what happened to the members and on-call has to know.
func (e *Engine) follow(ctx context.Context, j *journal.Journal, all []ledger.Run) error {
	run := j.Run()
	leaked, page := false, false
	for _, m := range all {
		leaked = leaked || m.Mode == string(commands.Compromised)
		page = page || m.Paged
	}
	problem := problems(all)
	if run.Problem == problem && (run.Paged || !page) && (run.Mode == string(commands.Compromised) || !leaked) {
		return nil
	}
	c := journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "batch.followed", Result: "noted", Detail: map[string]string{"problem": problem}},
		Amend: func(r *ledger.Run) {
			r.Problem, r.Paged = problem, r.Paged || page
			if leaked {
				r.Mode = string(commands.Compromised)
			}
		},
	}
	if page {
		c.Tell = []journal.Notice{pageTrigger()}
	}
	return j.Commit(ctx, c)
}

// problems names what went wrong, the members that failed first.
func problems(all []ledger.Run) string {
	var failed, other []string
	for _, m := range all {
		if m.Problem == "" {
			continue
		}
		says := m.Secret + ": " + m.Problem
		if m.State == ledger.Failed {
			failed = append(failed, says)
		} else {
			other = append(other, says)
		}
	}
	return strings.Join(append(failed, other...), " ")
}

// wakeNext wakes every member that may go on, and reports whether there is one.
func (e *Engine) wakeNext(ctx context.Context, all []ledger.Run) (busy bool, err error) {
	now := e.cfg.Now()
	var next []string
	for _, m := range all {
		if m.Rests(now) {
			continue
		}
		busy = true
		if m.Holder == "" && mayGo(all, m, now) {
			next = append(next, m.ID)
		}
	}
	if len(next) == 0 {
		return busy, nil
	}
	err = e.cfg.Store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		for _, id := range next {
			if err := e.cfg.Queue.EnqueueRun(ctx, tx, id, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return busy, fmt.Errorf("waking the next of a batch: %w", err)
	}
	return busy, nil
}

// rest ends a look at the members: while one is at work the batch runs, and while all of
// them wait it waits for the first.
func (e *Engine) rest(ctx context.Context, j *journal.Journal, all []ledger.Run, busy bool) error {
	state, wake := ledger.Running, time.Time{}
	if !busy {
		state = ledger.Waiting
		for _, m := range all {
			if !m.State.Final() && (wake.IsZero() || m.WakeAt.Before(wake)) {
				wake = m.WakeAt
			}
		}
	}
	if run := j.Run(); run.State != state || !run.WakeAt.Equal(wake) {
		err := j.Commit(ctx, journal.Change{Quiet: true, Amend: func(r *ledger.Run) { r.State, r.WakeAt = state, wake }})
		if err != nil {
			return err
		}
	}
	if busy {
		return jobs.After(lookAgain)
	}
	return nil
}

// endBatch records how the batch ended and tells who has to know. It ended as its worst
// member did.
func (e *Engine) endBatch(ctx context.Context, j *journal.Journal, all []ledger.Run) error {
	run, state, report := j.Run(), ledger.Succeeded, false
	for _, m := range all {
		report = report || len(m.Report) > 0
		switch {
		case m.State == ledger.Failed:
			state = ledger.Failed
		case m.State == ledger.RolledBack && state == ledger.Succeeded:
			state = ledger.RolledBack
		}
	}
	c := journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "batch.ended", Why: run.Reason, Result: string(state)},
		Tell:  e.closing(run),
		Amend: func(r *ledger.Run) { r.State, r.EndedAt, r.WakeAt = state, e.cfg.Now(), time.Time{} },
	}
	if run.Problem != "" {
		c.Entry.Detail = map[string]string{"problem": run.Problem}
	}
	if report {
		c.Tell = append(c.Tell, journal.Notice{Kind: journal.Thread, Name: journal.Report})
	}
	if run.Paged {
		if state == ledger.Succeeded {
			c.Tell = append(c.Tell, journal.Notice{Kind: journal.PageResolve, Name: "page-resolve"})
		} else {
			c.Tell = append(c.Tell, pageTrigger())
		}
	}
	return j.Commit(ctx, c)
}
