package intake

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

// claimant holds a run for the length of one transaction.
const claimant = "intake"

// rollback asks a run to go back to the old value. One under way meets the wish at its
// next commit; one that failed and still has the old value is taken up again.
func (d *Desk) rollback(ctx context.Context, req commands.Request) (commands.Answer, error) {
	var run ledger.Run
	var steps []ledger.Step
	err := d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) (err error) {
		if run, err = tx.Run(ctx, req.Run); err != nil {
			return err
		}
		steps, err = tx.Steps(ctx, run.ID)
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return unusable(req, "There is no run of that number; /rotate status lists the newest ones."), nil
	}
	if err != nil {
		return commands.Answer{}, fmt.Errorf("reading run %s: %w; %w", req.Run, err, ledger.ErrNotStarted)
	}
	req.Secret, req.Environment = run.Secret, run.Environment
	if why := d.cannotReturn(run, steps); why != "" {
		return d.once(ctx, req, unusable(req, "Run "+run.ID+" cannot be rolled back: "+why), func(ctx context.Context, tx ledger.Tx) error {
			return tx.Append(ctx, d.entry(req, run, "refused"))
		})
	}
	answer := commands.Answer{Outcome: commands.Taken, Verb: req.Verb, Run: run.ID, Text: fmt.Sprintf(
		"Run %s goes back to the old value of %s in %s.", run.ID, run.Secret, run.Environment)}
	if run.Mode == string(commands.Compromised) {
		answer.Text += " Mind that the old value is the one that leaked."
	}
	answer, err = d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
		if err := d.reopen(ctx, tx, run.ID); err != nil {
			return err
		}
		if err := tx.AskRun(ctx, run.ID, ledger.WishRollback); err != nil {
			return err
		}
		if err := tx.Append(ctx, d.entry(req, run, "accepted")); err != nil {
			return err
		}
		return d.cfg.Queue.EnqueueRun(ctx, tx, run.ID, time.Time{})
	})
	switch {
	case errors.Is(err, ledger.ErrEnded):
		return unusable(req, "Run "+run.ID+" has just ended; type the command again."), nil
	case errors.Is(err, ledger.ErrBusy):
		return unusable(req, "Another rotation of "+run.Secret+" is under way; /rotate status shows it. Nothing was started."), nil
	}
	return answer, err
}

// cannotReturn says why a run cannot go back; "" when it can.
func (d *Desk) cannotReturn(run ledger.Run, steps []ledger.Step) string {
	switch {
	case run.Kind != ledger.KindRotate:
		return "it changed nothing, it only looked."
	case run.State == ledger.RollingBack || run.Asked == ledger.WishRollback:
		return "it is on its way back already."
	case run.State == ledger.RolledBack:
		return "the old value is back already."
	}
	subject, err := rotate.NewSubject(d.cfg.Catalogue, run, nil)
	if err == nil {
		_, err = rotate.Return(subject, steps)
	}
	if err != nil {
		return d.scrub(err.Error())
	}
	return ""
}

// reopen takes up a run that failed, so that it can be asked for something.
func (d *Desk) reopen(ctx context.Context, tx ledger.Tx, id string) error {
	r, err := tx.Run(ctx, id)
	if err != nil || r.State != ledger.Failed {
		return err
	}
	if r, err = tx.ClaimRun(ctx, id, claimant); err != nil {
		return err
	}
	r.State, r.EndedAt = ledger.RollingBack, time.Time{}
	if err := tx.UpdateRun(ctx, &r); err != nil {
		return err
	}
	if err := journal.Tell(ctx, tx, d.cfg.Queue, r, nil, d.cfg.Now()); err != nil {
		return err
	}
	return tx.ReleaseRun(ctx, id, claimant, r.Fence)
}
