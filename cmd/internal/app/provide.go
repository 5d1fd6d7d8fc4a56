package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
	"rekey/commands/policy"
	"rekey/commands/rotate"
	"rekey/commands/secret"
)

// RefusedError is a request that was understood and is not carried out; its text is
// for the person who asked.
type RefusedError struct{ Sentence string }

func (e *RefusedError) Error() string { return e.Sentence }

// Provide gives a run that waits for a person the value it needs. The value is proven
// where it counts, then kept where the run's values are kept; it passes neither the
// database nor Slack. The sentence says what comes next. A *RefusedError says why the
// value was not taken.
func (a *App) Provide(ctx context.Context, actor commands.Actor, runID string, v secret.Value) (string, error) {
	run, steps, err := a.Look(ctx, runID)
	if errors.Is(err, ledger.ErrNotFound) {
		return "", &RefusedError{"There is no run of that number; `rekey runs` lists the newest ones."}
	}
	if err != nil {
		return "", fmt.Errorf("reading run %s: %w", runID, err)
	}
	decision := policy.Decide(a.cfg.Catalogue, commands.Request{
		Verb: commands.Rotate, Actor: actor, Secret: run.Secret, Environment: run.Environment, Mode: commands.Mode(run.Mode),
	})
	if !decision.Allowed {
		return "", &RefusedError{decision.Reason}
	}
	if !waitsForValue(run, steps) {
		return "", &RefusedError{fmt.Sprintf("Run %s is not waiting for a value; `rekey runs %s` shows how far it is.", runID, runID)}
	}
	subject, err := rotate.NewSubject(a.cfg.Catalogue, run, a.unended(runID))
	if err == nil {
		err = a.rotator.Provide(ctx, subject, v)
	}
	var fault *rotate.Fault
	if errors.As(err, &fault) {
		return "", &RefusedError{fault.Sentence}
	}
	if err != nil {
		return "", err
	}
	err = a.store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		if err := tx.Append(ctx, &ledger.Entry{
			At: time.Now(), Actor: actor.String(), Action: "value.provided", Subject: journal.Subject(run), Run: runID, Result: "accepted",
		}); err != nil {
			return err
		}
		if err := wake(ctx, tx, runID); err != nil {
			return err
		}
		return a.jobs.EnqueueRun(ctx, tx, runID, time.Time{})
	})
	if err != nil {
		return "", fmt.Errorf("recording that the value was provided: %w", err)
	}
	return fmt.Sprintf("The value works and is kept; run %s goes on with it.", runID), nil
}

// wake ends a run's wait, so that a person who resumes it need not sit it out. A
// process that holds the run at this moment is looking anyway.
func wake(ctx context.Context, tx ledger.Tx, runID string) error {
	const claimant = "provide"
	r, err := tx.ClaimRun(ctx, runID, claimant)
	if errors.Is(err, ledger.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.State == ledger.Waiting {
		r.WakeAt = time.Now()
		if err := tx.UpdateRun(ctx, &r); err != nil {
			return err
		}
	}
	return tx.ReleaseRun(ctx, runID, claimant, r.Fence)
}

// waitsForValue reports that the run's next step is to get a value.
func waitsForValue(run ledger.Run, steps []ledger.Step) bool {
	if run.State.Final() {
		return false
	}
	for _, s := range steps {
		if s.State == ledger.StepPending || s.State == ledger.StepRunning {
			return s.Kind == rotate.KindCreate
		}
	}
	return false
}

// unended is the fence of somebody who does not hold the run: what is kept for it is
// of use for as long as it has not ended.
func (a *App) unended(runID string) func(context.Context) error {
	return func(ctx context.Context) error {
		run, _, err := a.Look(ctx, runID)
		if err == nil && run.State.Final() {
			err = ledger.ErrEnded
		}
		return err
	}
}
