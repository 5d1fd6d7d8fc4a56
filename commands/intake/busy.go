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

// errMoved: the run is not as it was seen; look again.
var errMoved = errors.New("the run went on in the meantime")

// How long an escalation waits for the run's holder to let go: a waiting run is held
// only for as long as it takes to see that its overlap is not over.
const (
	patience = 1500 * time.Millisecond
	lookPace = 20 * time.Millisecond
)

// busy answers a rotation of a secret that is being rotated already. A routine run
// that only waits for its overlap to end is brought to its end when the secret turns
// out to be compromised: the old value must not live another day.
func (d *Desk) busy(ctx context.Context, req commands.Request) (commands.Answer, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
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
		if req.Mode != commands.Compromised || !escalates(active) {
			return d.refuseBusy(ctx, req, active)
		}
		answer, err := d.escalate(ctx, req, active)
		if !errors.Is(err, errMoved) && !errors.Is(err, ledger.ErrHeld) {
			return answer, err
		}
		select {
		case <-limited.Done():
			return commands.Answer{}, fmt.Errorf("run %s is being worked on at this moment: %w", active.ID, ledger.ErrNotStarted)
		case <-time.After(lookPace):
		}
	}
}

// refuseBusy says who is rotating the secret, and records that somebody asked.
func (d *Desk) refuseBusy(ctx context.Context, req commands.Request, active ledger.Run) (commands.Answer, error) {
	answer := commands.Answer{Outcome: commands.Unusable, Verb: req.Verb, Run: active.ID, Text: fmt.Sprintf(
		"%s in %s is being rotated already: run %s, started by %s. Nothing else was started; /rotate status shows how far it is.",
		active.Secret, active.Environment, active.ID, active.Actor)}
	if req.Mode == commands.Compromised && active.Mode == string(commands.Routine) {
		answer.Text += " It is a routine one: type the same command again in a minute, when both values are in use, and it ends at once."
	}
	return d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
		return tx.Append(ctx, d.entry(req, active, "busy"))
	})
}

// escalates reports whether a run can be turned into a compromised one.
func escalates(r ledger.Run) bool {
	return r.State == ledger.Waiting && r.Mode == string(commands.Routine)
}

// escalate turns a waiting routine run into a compromised one. It claims the run for
// that: a holder writes the whole run back as it knows it, and would undo the change.
// ErrHeld when a live process holds it, errMoved when it is not what it was.
func (d *Desk) escalate(ctx context.Context, req commands.Request, run ledger.Run) (commands.Answer, error) {
	answer := commands.Answer{Outcome: commands.Taken, Verb: req.Verb, Run: run.ID, Text: fmt.Sprintf(
		"The overlap of run %s ends now: the old value of %s dies as soon as that is proven safe, and on-call is paged. "+
			"If it is the new value that leaked, type this again when the run has ended.", run.ID, run.Secret)}
	return d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
		r, err := tx.ClaimRun(ctx, run.ID, claimant)
		if err != nil {
			return err
		}
		if !escalates(r) {
			return errMoved
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
		if err := tx.ReleaseRun(ctx, r.ID, claimant, r.Fence); err != nil {
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

// claimant holds a run for the length of one transaction.
const claimant = "intake"

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
