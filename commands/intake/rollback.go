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
	if run.Kind == ledger.KindBatch {
		return d.rollbackBatch(ctx, req, run)
	}
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
	if err := tx.AskRun(ctx, run.ID, ledger.WishRollback); err != nil {
		return err
	}
	if err := tx.Append(ctx, d.entry(req, run, "accepted")); err != nil {
		return err
	}
	return d.cfg.Queue.EnqueueRun(ctx, tx, run.ID, time.Time{})
}

// rollbackBatch asks every member that can to go back; the last one rotated goes first.
func (d *Desk) rollbackBatch(ctx context.Context, req commands.Request, whole ledger.Run) (commands.Answer, error) {
	var members []ledger.Run
	steps := map[string][]ledger.Step{}
	err := d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) (err error) {
		if members, err = tx.Runs(ctx, ledger.RunFilter{Batch: whole.ID, Limit: journal.MaxMembers}); err != nil {
			return err
		}
		for _, m := range members {
			if steps[m.ID], err = tx.Steps(ctx, m.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return commands.Answer{}, fmt.Errorf("reading the members of %s: %w; %w", whole.ID, err, ledger.ErrNotStarted)
	}
	slices.SortFunc(members, func(a, b ledger.Run) int { return b.Turn - a.Turn })
	var back []ledger.Run
	var names, cannot []string
	for _, m := range members {
		if why := d.cannotReturn(m, steps[m.ID]); why != "" {
			cannot = append(cannot, m.Secret+" cannot: "+why)
			continue
		}
		back, names = append(back, m), append(names, m.Secret)
	}
	if len(back) == 0 {
		return d.once(ctx, req, unusable(req, "No secret of "+whole.ID+" can be rolled back. "+strings.Join(cannot, " ")), func(ctx context.Context, tx ledger.Tx) error {
			return tx.Append(ctx, d.entry(req, whole, "refused"))
		})
	}
	answer := commands.Answer{Outcome: commands.Taken, Verb: req.Verb, Run: whole.ID, Text: strings.TrimSpace(fmt.Sprintf(
		"%s in %s %s back to the old value, one after the other. %s", and(names), whole.Environment, goes(len(names)), strings.Join(cannot, " ")))}
	if whole.Mode == string(commands.Compromised) {
		answer.Text += " Mind that the old values are the ones that leaked."
	}
	answer, err = d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
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
