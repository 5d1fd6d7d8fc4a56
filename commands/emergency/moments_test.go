package emergency_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/emergency"
)

// An audit asked for after a rotation draws its moments and knows when the value died,
// as long as they lie inside its window; it ends where it was told to.
func TestAnAuditKnowsTheRotationsOfItsWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(nil)
	rotated := w.work()
	w.pass(time.Hour)

	whole := audit.Window{Since: rotated.CreatedAt.Add(-time.Hour), Until: w.clock()}
	died, marks, err := emergency.Moments(t.Context(), w.store, name, "production", whole)
	if err != nil || len(marks) != 3 || died.IsZero() || !died.Equal(marks[2].At) {
		t.Errorf("died %v, marks %+v, %v", died, marks, err)
	}
	for what, outside := range map[string]audit.Window{
		"before": {Since: whole.Since, Until: rotated.CreatedAt},
		"after":  {Since: died.Add(time.Microsecond), Until: whole.Until},
	} {
		if died, marks, err := emergency.Moments(t.Context(), w.store, name, "production", outside); err != nil || len(marks) != 0 || !died.IsZero() {
			t.Errorf("%s: died %v, marks %+v, %v", what, died, marks, err)
		}
	}
	if _, marks, err := emergency.Moments(t.Context(), w.store, name, "staging", whole); err != nil || len(marks) != 0 {
		t.Errorf("elsewhere: marks %+v, %v", marks, err)
	}

	until := w.clock().Add(-10 * time.Minute)
	memo, err := commands.Look{Until: until}.Memo()
	if err != nil {
		t.Fatal(err)
	}
	r := ledger.Run{
		ID: "r-later", Kind: ledger.KindAudit, Secret: name, Environment: "production", Actor: "cli:root", Incident: "r-later",
		State: ledger.Queued, Since: whole.Since, CreatedAt: w.clock(), Version: 1, Memo: memo,
	}
	w.update(func(ctx context.Context, tx ledger.Tx) error { return tx.InsertRun(ctx, r) })
	var claimed ledger.Run
	w.update(func(ctx context.Context, tx ledger.Tx) (err error) {
		if err := tx.Beat(ctx, ledger.Replica{ID: "auditor"}, time.Hour); err != nil {
			return err
		}
		claimed, err = tx.ClaimRun(ctx, r.ID, "auditor")
		return err
	})
	if err := w.engine().Work(t.Context(), claimed); err != nil {
		t.Fatal(err)
	}
	var report audit.Report
	w.view(func(ctx context.Context, tx ledger.Tx) error {
		r, err := tx.Run(ctx, "r-later")
		if err != nil {
			return err
		}
		return json.Unmarshal(r.Report, &report)
	})
	if !report.Window.Since.Equal(whole.Since) || !report.Window.Until.Equal(until) || len(report.Timeline.Marks) != 3 {
		t.Errorf("the audit looked at %v, marks %+v", report.Window, report.Timeline.Marks)
	}
}
