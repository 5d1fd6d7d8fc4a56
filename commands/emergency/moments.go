package emergency

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands/rotate"
)

// Moments are the moments of the rotations of a secret inside a window, for the timeline
// of an audit that is no part of one, and when the last value that ended there was dead;
// zero when none did.
func Moments(ctx context.Context, store ledger.Store, name, environment string, window audit.Window) (died time.Time, marks []audit.Mark, err error) {
	err = store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		died, marks = time.Time{}, nil
		runs, err := tx.Runs(ctx, ledger.RunFilter{Secret: name, Environment: environment, Kind: ledger.KindRotate, Limit: maxRotations})
		if err != nil {
			return err
		}
		for _, run := range slices.Backward(runs) { // oldest first
			steps, err := tx.Steps(ctx, run.ID)
			if err != nil {
				return err
			}
			if run.State == ledger.RolledBack {
				run.State = ledger.RollingBack // its old value lives
			}
			ended, of := moments(run, steps)
			for _, m := range of {
				if !m.At.Before(window.Since) && m.At.Before(window.Until) {
					marks = append(marks, m)
				}
			}
			if !ended.Before(window.Since) && ended.Before(window.Until) && ended.After(died) {
				died = ended
			}
		}
		return nil
	})
	if err != nil {
		return died, nil, fmt.Errorf("reading the rotations of %s: %w", name, err)
	}
	return died, marks, nil
}

// maxRotations is far more than a secret sees in the longest window.
const maxRotations = 200

// moments are what a report's timeline shows of a rotation: when the new value came into
// use, and when the old one was dead. died is zero while it lives.
func moments(run ledger.Run, steps []ledger.Step) (died time.Time, marks []audit.Mark) {
	if run.Kind != ledger.KindRotate {
		return died, nil
	}
	back := run.State == ledger.RollingBack // the old value lives again
	for _, s := range steps {
		if !back && s.State == ledger.StepDone && (s.Kind == rotate.KindProve || s.Kind == rotate.KindRevoke) && s.Ended.After(died) {
			died = s.Ended.UTC()
		}
	}
	marks = append(marks, audit.Mark{At: run.CreatedAt.UTC(), What: "rotation asked for"})
	if at := switched(steps); !at.IsZero() {
		marks = append(marks, audit.Mark{At: at.UTC(), What: "new value in use"})
	}
	if !died.IsZero() {
		marks = append(marks, audit.Mark{At: died, What: "old value dead"})
	}
	return died, marks
}
