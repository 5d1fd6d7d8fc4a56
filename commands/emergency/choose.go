package emergency

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
	"rekey/commands/rotate"
)

// choose carries out what somebody chose about the end of the old value.
func (e *Engine) choose(ctx context.Context, j *journal.Journal) error {
	run := j.Run()
	wish, by, at, err := e.chosen(ctx, run)
	if err != nil {
		return err
	}
	d, step, err := rotate.Choice(run, j.Steps(), wish, by, at)
	var fault *rotate.Fault
	if errors.As(err, &fault) {
		return j.Commit(ctx, journal.Change{
			Entry: ledger.Entry{Actor: "rekey", Action: string(wish) + ".refused", Result: "refused", Detail: map[string]string{"by": by, "because": fault.Sentence}},
			Amend: func(r *ledger.Run) { r.Granted = run.Asked },
		})
	}
	if err != nil {
		return err
	}
	memo, err := d.Memo()
	if err != nil {
		return err
	}
	detail := map[string]string{"by": by}
	if wish == ledger.WishHold {
		detail["until"], detail["times"] = d.Until.UTC().Format(time.RFC3339), fmt.Sprintf("%d of %d", d.Times, commands.MaxHolds)
	}
	step.State, step.Ended = ledger.StepRunning, time.Time{}
	return j.Commit(ctx, journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: string(wish) + ".granted", Result: "granted", Detail: detail},
		Steps: []ledger.Step{step},
		Amend: func(r *ledger.Run) {
			r.Granted, r.State, r.Memo = run.Asked, ledger.Waiting, memo
			awake(r, e.cfg.Now())
		},
	})
}

// chosen answers what was chosen, by whom and when. Where two people chose at the same
// moment, at two replicas, the one who wants it ended is heard: that one was told that
// it ends now.
func (e *Engine) chosen(ctx context.Context, run ledger.Run) (wish ledger.Wish, by string, at time.Time, err error) {
	wish, by, at = run.Asked, "somebody", e.cfg.Now()
	err = e.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		entries, err := tx.Entries(ctx, run.ID)
		wish = run.Asked
		for _, entry := range entries {
			kill := entry.Action == string(commands.Kill)+".requested"
			if entry.Result != "accepted" || !kill && (entry.Action != string(commands.Hold)+".requested" || wish == ledger.WishKill) {
				continue
			}
			by, at = entry.Actor, entry.At
			if kill {
				wish = ledger.WishKill
			}
		}
		return err
	})
	if err != nil {
		return wish, "", at, fmt.Errorf("reading who chose: %w", err)
	}
	return wish, by, at, nil
}

// respite is what a step's result leaves to be kept with the run: nil for nothing. news
// reports that people are to be told below the board, under the name: that the run
// stands, that its end was put off, or that it came.
func respite(run ledger.Run, res rotate.Result) (memo []byte, name string, err error) {
	if res.Respite == nil {
		return nil, "", nil
	}
	before := commands.ReadRespite(run.Memo)
	switch {
	case !res.Respite.Open:
		name = "respite/over"
	case !before.Open || before.SeenAt.IsZero():
		name = fmt.Sprintf("respite/%d", res.Respite.Times)
	}
	memo, err = res.Respite.Memo()
	return memo, name, err
}

// closed is the memo of a run that stands no longer; nil where it does not stand.
func closed(run ledger.Run) ([]byte, error) {
	d := commands.ReadRespite(run.Memo)
	if !d.Open {
		return nil, nil
	}
	d.Open = false
	return d.Memo()
}

func keep(r *ledger.Run, memo []byte) {
	if memo != nil {
		r.Memo = memo
	}
}
