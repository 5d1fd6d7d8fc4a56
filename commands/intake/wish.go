package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
)

// What is asked of a run under way goes the same way whatever it is: the run is read, it
// is said why the wish cannot be had or what becomes of it, and the wish is left with the
// run together with the entry that says whose it is.

// sought is a run that somebody named, or a member of the batch that was named.
type sought struct {
	run   ledger.Run
	steps []ledger.Step
}

// named reads the run that a request names, and what of it can be asked for something:
// the run itself, or the members of a batch in the order of their turns.
func (d *Desk) named(ctx context.Context, req commands.Request) (run ledger.Run, found []sought, err error) {
	err = d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		if run, err = tx.Run(ctx, req.Run); err != nil {
			return err
		}
		runs := []ledger.Run{run}
		if run.Kind == ledger.KindBatch {
			if runs, err = tx.Runs(ctx, ledger.RunFilter{Batch: run.ID, Limit: journal.MaxMembers}); err != nil {
				return err
			}
			slices.SortFunc(runs, func(a, b ledger.Run) int { return a.Turn - b.Turn })
		}
		found = nil
		for _, r := range runs {
			steps, err := tx.Steps(ctx, r.ID)
			if err != nil {
				return err
			}
			found = append(found, sought{run: r, steps: steps})
		}
		return nil
	})
	return run, found, err
}

// noRun answers a request whose run could not be read.
func noRun(req commands.Request, err error) (commands.Answer, error) {
	if errors.Is(err, ledger.ErrNotFound) {
		return unusable(req, "There is no run of that number; /rotate status lists the newest ones."), nil
	}
	return commands.Answer{}, fmt.Errorf("reading run %s: %w; %w", req.Run, err, ledger.ErrNotStarted)
}

// decline says why a wish cannot be had, and records that somebody had it.
func (d *Desk) decline(ctx context.Context, req commands.Request, run ledger.Run, why string) (commands.Answer, error) {
	return d.once(ctx, req, unusable(req, why), func(ctx context.Context, tx ledger.Tx) error {
		return tx.Append(ctx, d.entry(req, run, "refused"))
	})
}

// wish leaves a wish with run, inside tx, and wakes it.
func (d *Desk) wish(ctx context.Context, tx ledger.Tx, run ledger.Run, w ledger.Wish, e *ledger.Entry) error {
	if err := tx.AskRun(ctx, run.ID, w); err != nil {
		return err
	}
	if err := tx.Append(ctx, e); err != nil {
		return err
	}
	return d.cfg.Queue.EnqueueRun(ctx, tx, run.ID, time.Time{})
}
