package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	run, found, err := d.named(ctx, req)
	if err != nil {
		return noRun(req, err)
	}
	req.Secret, req.Environment = run.Secret, run.Environment
	if run.Kind == ledger.KindBatch {
		return d.rollbackBatch(ctx, req, run, found)
	}
	if why := d.cannotReturn(run, found[0].steps); why != "" {
		return d.decline(ctx, req, run, "Run "+run.ID+" cannot be rolled back: "+why)
	}
	answer := commands.Answer{Outcome: commands.Taken, Verb: req.Verb, Run: run.ID, Text: fmt.Sprintf(
		"Run %s goes back to the old value of %s in %s.", run.ID, run.Secret, run.Environment)}
	if run.Mode == string(commands.Compromised) {
		answer.Text += " Mind that the old value is the one that leaked."
	}
	answer, err = d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
		return d.turnBack(ctx, tx, req, run)
	})
	switch {
	case errors.Is(err, ledger.ErrEnded):
		return unusable(req, "Run "+run.ID+" has just ended; type the command again."), nil
	case errors.Is(err, ledger.ErrBusy):
		return unusable(req, "Another rotation of "+run.Secret+" is under way; /rotate status shows it. Nothing was started."), nil
	}
	return answer, err
}

// turnBack asks run, inside tx, to go back. A batch that has ended is taken up with it,
// so that its board and its page follow.
func (d *Desk) turnBack(ctx context.Context, tx ledger.Tx, req commands.Request, run ledger.Run) error {
	if run.Batch != "" {
		if err := d.reopen(ctx, tx, run.Batch, ledger.Running); err != nil {
			return err
		}
		if err := d.cfg.Queue.EnqueueRun(ctx, tx, run.Batch, time.Time{}); err != nil {
			return err
		}
	}
	if err := d.reopen(ctx, tx, run.ID, ledger.RollingBack); err != nil {
		return err
	}
	return d.wish(ctx, tx, run, ledger.WishRollback, d.entry(req, run, "accepted"))
}

// rollbackBatch asks every member that can to go back; the last one rotated goes first.
func (d *Desk) rollbackBatch(ctx context.Context, req commands.Request, whole ledger.Run, members []sought) (commands.Answer, error) {
	slices.Reverse(members)
	var back []ledger.Run
	var names, cannot []string
	for _, m := range members {
		if why := d.cannotReturn(m.run, m.steps); why != "" {
			cannot = append(cannot, m.run.Secret+" cannot: "+why)
			continue
		}
		back, names = append(back, m.run), append(names, m.run.Secret)
	}
	if len(back) == 0 {
		return d.decline(ctx, req, whole, "No secret of "+whole.ID+" can be rolled back. "+strings.Join(cannot, " "))
	}
	answer := commands.Answer{Outcome: commands.Taken, Verb: req.Verb, Run: whole.ID, Text: strings.TrimSpace(fmt.Sprintf(
		"%s in %s %s back to the old value, one after the other. %s", and(names), whole.Environment, goes(len(names)), strings.Join(cannot, " ")))}
	if whole.Mode == string(commands.Compromised) {
		answer.Text += " Mind that the old values are the ones that leaked."
	}
	answer, err := d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
		for _, m := range back {
			single := req
			single.Secret = m.Secret
			if err := d.turnBack(ctx, tx, single, m); err != nil {
				return err
			}
		}
		return tx.Append(ctx, d.entry(req, whole, "accepted"))
	})
	switch {
	case errors.Is(err, ledger.ErrEnded), errors.Is(err, ledger.ErrBusy):
		return unusable(req, "One of the rotations of "+whole.ID+" has just ended or begun anew; type the command again."), nil
	}
	return answer, err
}

func goes(n int) string {
	if n == 1 {
		return "goes"
	}
	return "go"
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

// reopen takes up a run that failed, so that it can be asked for something. A batch is
// taken up however it ended.
func (d *Desk) reopen(ctx context.Context, tx ledger.Tx, id string, state ledger.RunState) error {
	r, err := tx.Run(ctx, id)
	if err != nil || !r.State.Final() || r.State != ledger.Failed && r.Kind != ledger.KindBatch {
		return err
	}
	if r, err = tx.ClaimRun(ctx, id, claimant); err != nil {
		return err
	}
	r.State, r.EndedAt = state, time.Time{}
	if err := tx.UpdateRun(ctx, &r); err != nil {
		return err
	}
	if err := journal.Tell(ctx, tx, d.cfg.Queue, r, nil, d.cfg.Now()); err != nil {
		return err
	}
	return tx.ReleaseRun(ctx, id, claimant, r.Fence)
}
