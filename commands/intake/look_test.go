package intake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/commands"
)

// The list knows what the catalogue was told and what rekey did since, and only what
// really succeeded counts.
//
// Guide: schedule/shown
func TestListDates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	row := func(name, environment string) commands.SecretRow {
		t.Helper()
		for _, r := range w.take(ask("", bob, commands.List, "")).Secrets {
			if r.Name == name && r.Environment == environment {
				return r
			}
		}
		t.Fatalf("the list has no %s in %s", name, environment)
		return commands.SecretRow{}
	}
	seeded := noon.AddDate(0, -2, 0)
	want := commands.SecretRow{
		Name: "REVALIDATE_SECRET", Environment: "production", Purpose: "cache", Owner: "Web", Risk: "medium", Procedure: "hmac-overlap",
		LastRotated: seeded, NextDue: seeded.AddDate(0, 3, 0),
	}
	if diff := cmp.Diff(want, row("REVALIDATE_SECRET", "production")); diff != "" {
		t.Errorf("before anything (-want +got):\n%s", diff)
	}
	if r := row("EMAIL_HOST_PASSWORD", "production"); !r.LastRotated.IsZero() || r.Procedure != "manual" {
		t.Errorf("a secret of unknown age: %+v", r)
	}

	for i, state := range []ledger.RunState{ledger.RolledBack, ledger.Failed} {
		run := w.start("bad"+string(rune('0'+i)), commands.Compromised)
		if r := row("REVALIDATE_SECRET", "production"); r.Active != run.ID {
			t.Errorf("the run under way is %q, want %s", r.Active, run.ID)
		}
		w.pass(time.Minute)
		w.end(run.ID, state)
		if r := row("REVALIDATE_SECRET", "production"); !r.LastRotated.Equal(seeded) || r.Active != "" {
			t.Errorf("a run that ended %s counts as a rotation: %+v", state, r)
		}
	}
	good := w.start("good", commands.Compromised)
	w.pass(time.Hour)
	w.end(good.ID, ledger.Succeeded)
	want.LastRotated, want.NextDue = w.clock(), w.clock().AddDate(0, 3, 0)
	if diff := cmp.Diff(want, row("REVALIDATE_SECRET", "production")); diff != "" {
		t.Errorf("after a rotation (-want +got):\n%s", diff)
	}
	if r := row("REVALIDATE_SECRET", "staging"); !r.LastRotated.Equal(seeded) {
		t.Errorf("staging was not rotated, but: %+v", r)
	}
	if a := w.take(ask("", bob, commands.List, "")); a.Outcome != commands.Told || len(a.Secrets) != 4 || a.Text != "3 secrets in the catalogue." {
		t.Errorf("answered %s, %d rows: %s", a.Outcome, len(a.Secrets), a.Text)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status := func(run string) commands.Answer {
		t.Helper()
		req := ask("", bob, commands.Status, "")
		req.Run = run
		return w.take(req)
	}
	if a := status(""); a.Outcome != commands.Told || a.Text != "No run was ever started." {
		t.Errorf("before anything: %s %q", a.Outcome, a.Text)
	}
	run := w.waiting("e1")
	a := status(run.ID)
	if a.Outcome != commands.Told || len(a.Runs) != 1 || len(a.Steps[run.ID]) != 3 {
		t.Fatalf("answered %s with %d runs and %d steps: %s", a.Outcome, len(a.Runs), len(a.Steps[run.ID]), a.Text)
	}
	if diff := cmp.Diff(run, a.Runs[0]); diff != "" {
		t.Errorf("the run (-want +got):\n%s", diff)
	}
	if want := "Run " + run.ID + ": rotate REVALIDATE_SECRET in production, waiting."; a.Text != want {
		t.Errorf("the text is %q, want %q", a.Text, want)
	}

	for _, unknown := range []string{"r-20200101-000000-nobody", "REVALIDATE_SECRET", "' OR 1=1 --"} {
		if a := status(unknown); a.Outcome != commands.Unusable || !strings.Contains(a.Text, "no run of that number") || strings.Contains(a.Text, unknown) {
			t.Errorf("%s: answered %s: %s", unknown, a.Outcome, a.Text)
		}
	}
	before := w.counts()
	status("")
	if after := w.counts(); after != before {
		t.Errorf("asking for status left something behind: %s", after)
	}
}

// Everything under way is shown, however old, and of what has ended the newest five.
func TestStatusShowsWhatIsUnderWayFirstOfAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.waiting("old")
	var ended []string
	for i := range 7 {
		w.pass(time.Minute)
		a := w.take(ask("audit"+string(rune('0'+i)), bob, commands.Audit, "ANALYTICS_SECRET"))
		w.end(a.Run, ledger.Succeeded)
		ended = append([]string{a.Run}, ended...)
	}
	var got []string
	a := w.take(ask("", bob, commands.Status, ""))
	for _, r := range a.Runs {
		got = append(got, r.ID)
	}
	if diff := cmp.Diff(append(ended[:5:5], old.ID), got); diff != "" {
		t.Errorf("the runs (-want +got):\n%s", diff)
	}
	if a.Text != "1 under way." {
		t.Errorf("the text is %q", a.Text)
	}
	w.end(old.ID, ledger.Failed)
	if a := w.take(ask("", bob, commands.Status, "")); len(a.Runs) != 5 || !strings.HasPrefix(a.Text, "Nothing is under way.") {
		t.Errorf("%d runs: %s", len(a.Runs), a.Text)
	}
}
