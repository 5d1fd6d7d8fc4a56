package emergency

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
	"rekey/commands/rotate"
)

// choose carries out what somebody chose about the end of the old value. What was
// promised to that person when it was typed holds for as long as nothing was done that
// ends the value: a run that was just about to go on stands again.
func (e *Engine) choose(ctx context.Context, j *journal.Journal) error {
	run, steps := j.Run(), j.Steps()
	wish := run.Asked
	step, d, why, err := standing(run, steps)
	if err != nil {
		return err
	}
	if why == "" && wish == ledger.WishHold && d.Times >= commands.MaxHolds {
		why = "it was put off as often as it can be"
	}
	if why != "" {
		return j.Commit(ctx, journal.Change{
			Entry: ledger.Entry{Actor: "rekey", Action: string(wish) + ".refused", Result: "refused", Detail: map[string]string{"because": why}},
			Amend: func(r *ledger.Run) { r.Granted = wish },
		})
	}
	by, at, err := e.chosen(ctx, run.ID, wish)
	if err != nil {
		return err
	}
	d.Open, d.By, d.Kill = true, by, wish == ledger.WishKill
	detail := map[string]string{"by": by}
	if wish == ledger.WishHold {
		d.Until, d.Times = at.Add(commands.HoldFor), d.Times+1
		detail["until"], detail["times"] = d.Until.UTC().Format(time.RFC3339), fmt.Sprintf("%d of %d", d.Times, commands.MaxHolds)
	}
	memo, err := d.Memo()
	if err != nil {
		return err
	}
	step.State, step.Ended = ledger.StepRunning, time.Time{}
	return j.Commit(ctx, journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: string(wish) + ".granted", Result: "granted", Detail: detail},
		Steps: []ledger.Step{step},
		Amend: func(r *ledger.Run) {
			r.Granted, r.State = wish, ledger.Waiting
			keep(r, memo)
		},
	})
}

// standing answers the step at which a run stands, or stood with nothing begun since,
// and the decision about it; why says what else it is.
func standing(run ledger.Run, steps []ledger.Step) (step ledger.Step, d commands.Respite, why string, err error) {
	if d, err = commands.ReadRespite(run.Memo); err != nil {
		return step, d, "", err
	}
	i := slices.IndexFunc(steps, func(s ledger.Step) bool { return s.Kind == rotate.KindDrain })
	switch {
	case run.Kind != ledger.KindRotate || run.Mode != string(commands.Compromised):
		return step, d, "the run is not compromised", nil
	case run.State == ledger.RollingBack:
		return step, d, "the run goes back", nil
	case i < 0 || d.Until.IsZero():
		return step, d, "the run did not stop for a choice", nil
	case slices.ContainsFunc(steps[i+1:], func(s ledger.Step) bool { return s.State != ledger.StepPending }):
		return step, d, "it is too late: the old value is being ended", nil
	}
	return steps[i], d, "", nil
}

// chosen answers who made the wish, and when.
func (e *Engine) chosen(ctx context.Context, run string, wish ledger.Wish) (by string, at time.Time, err error) {
	by, at = "somebody", e.cfg.Now()
	err = e.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		entries, err := tx.Entries(ctx, run)
		for _, entry := range entries {
			if entry.Action == string(wish)+".requested" && entry.Result == "accepted" {
				by, at = entry.Actor, entry.At
			}
		}
		return err
	})
	if err != nil {
		return "", at, fmt.Errorf("reading who chose: %w", err)
	}
	return by, at, nil
}

// memoOf is what a step's result leaves to be kept with the run; nil for nothing.
func memoOf(res rotate.Result) ([]byte, error) {
	if res.Respite == nil {
		return nil, nil
	}
	return res.Respite.Memo()
}

// closed is the memo of a run that stands no longer; nil where it never stood.
func closed(run ledger.Run) ([]byte, error) {
	d, err := commands.ReadRespite(run.Memo)
	if err != nil || !d.Open {
		return nil, err
	}
	d.Open = false
	return d.Memo()
}

func keep(r *ledger.Run, memo []byte) {
	if memo != nil {
		r.Memo = memo
	}
}
