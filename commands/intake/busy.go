package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
)

// busy answers a rotation of a secret that is being rotated already. A routine run
// that only waits for its overlap to end is brought to its end when the secret turns
// out to be compromised: the old value must not live another day.
func (d *Desk) busy(ctx context.Context, req commands.Request) (commands.Answer, error) {
	var active ledger.Run
	err := d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		var err error
		active, err = d.active(ctx, tx, req)
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) { // it ended in between
		return commands.Answer{Outcome: commands.Unusable, Verb: req.Verb, Text: "Another rotation of this secret has just ended; type the command again if you still want one."}, nil
	}
	if err != nil {
		return commands.Answer{}, fmt.Errorf("reading the run under way: %w", err)
	}
	if req.Mode == commands.Compromised && active.State == ledger.Waiting && active.Mode == string(commands.Routine) {
		return d.escalate(ctx, req)
	}
	answer := commands.Answer{Outcome: commands.Unusable, Verb: req.Verb, Run: active.ID, Text: fmt.Sprintf(
		"%s in %s is being rotated already: run %s, started by %s. Nothing else was started; /rotate status shows how far it is.",
		active.Secret, active.Environment, active.ID, active.Actor)}
	return d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
		return tx.Append(ctx, d.entry(req, active, "busy"))
	})
}

// escalate turns a waiting routine run into a compromised one.
func (d *Desk) escalate(ctx context.Context, req commands.Request) (commands.Answer, error) {
	var run ledger.Run
	answer := commands.Answer{Outcome: commands.Taken, Verb: req.Verb}
	err := d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		var err error
		run, err = d.active(ctx, tx, req)
		return err
	})
	if err != nil {
		return commands.Answer{}, fmt.Errorf("reading the run under way: %w", err)
	}
	answer.Run = run.ID
	answer.Text = fmt.Sprintf("The overlap of run %s ends now: the old value of %s dies as soon as that is proven safe, and on-call is paged. "+
		"If it is the new value that leaked, type this again when the run has ended.", run.ID, run.Secret)
	return d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
		r, err := d.active(ctx, tx, req)
		if err != nil {
			return err
		}
		if r.ID != run.ID || r.State != ledger.Waiting {
			return fmt.Errorf("run %s went on in the meantime: %w", run.ID, ledger.ErrNotStarted)
		}
		steps, err := tx.Steps(ctx, r.ID)
		if err != nil {
			return err
		}
		now := d.cfg.Now()
		r.Mode, r.Paged, r.WakeAt = string(commands.Compromised), true, now
		r.Reason = req.Reason
		if err := tx.UpdateRun(ctx, &r); err != nil {
			return err
		}
		if err := tx.PutStep(ctx, ledger.Step{
			Run: r.ID, Index: len(steps), Key: "audit", Kind: "audit",
			Title: "Read the evidence of misuse", State: ledger.StepPending,
		}); err != nil {
			return err
		}
		if err := tx.Append(ctx, d.entry(req, r, "escalated")); err != nil {
			return err
		}
		page := []journal.Notice{{Kind: journal.PageTrigger, Name: "page-trigger"}}
		if err := journal.Tell(ctx, tx, d.cfg.Queue, r, page, now); err != nil {
			return err
		}
		return d.cfg.Queue.EnqueueRun(ctx, tx, r.ID, time.Time{})
	})
}

// active finds the unfinished rotation of what a request names.
func (d *Desk) active(ctx context.Context, tx ledger.Tx, req commands.Request) (ledger.Run, error) {
	want := d.run(req)
	runs, err := tx.Runs(ctx, ledger.RunFilter{Secret: want.Secret, Environment: want.Environment, Kind: ledger.KindRotate, Active: true, Limit: 1})
	if err != nil {
		return ledger.Run{}, err
	}
	if len(runs) == 0 {
		return ledger.Run{}, ledger.ErrNotFound
	}
	return runs[0], nil
}
