package intake_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
	"rekey/commands/rotate"
	"rekey/commands/secret"
)

func back(id, run string) commands.Request {
	return commands.Request{ID: id, At: noon, Actor: alice, Verb: commands.Rollback, Run: run, Reason: "it broke"}
}

// steps records what a run has done, and how it ended.
func (w *world) did(id string, state ledger.RunState, steps ...ledger.Step) {
	w.t.Helper()
	run := w.claim(id, "worker")
	for i := range steps {
		steps[i].Run, steps[i].Index = id, i
	}
	err := w.journal(run).Commit(context.Background(), journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "step.done"}, Steps: steps,
		Amend: func(r *ledger.Run) { r.State = state },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.release(w.run(id))
}

// Guide: procedures/secret-key/rollback, procedures/revalidate-secret/rollback, procedures/analytics-secret/rollback, procedures/email-host-password/rollback, procedures/database-url/rollback, procedures/sentry-dsn/rollback
func TestRollback(t *testing.T) {
	t.Parallel()
	created := ledger.Step{Key: "create", Kind: rotate.KindCreate, State: ledger.StepDone}
	failed := ledger.Step{Key: "prove", Kind: rotate.KindProve, State: ledger.StepFailed}
	finished := ledger.Step{Key: "finish", Kind: rotate.KindFinish, State: ledger.StepDone}
	for what, c := range map[string]struct {
		prepare func(w *world) string
		outcome commands.Outcome
		says    string
	}{
		"a run that waits":  {func(w *world) string { return w.waiting("e1").ID }, commands.Taken, "goes back to the old value"},
		"a run under way":   {func(w *world) string { return w.start("e1", commands.Routine).ID }, commands.Taken, "goes back"},
		"a compromised one": {func(w *world) string { return w.start("e1", commands.Compromised).ID }, commands.Taken, "the one that leaked"},
		"one that failed": {func(w *world) string {
			id := w.start("e1", commands.Routine).ID
			w.did(id, ledger.Failed, created, failed)
			return id
		}, commands.Taken, "goes back"},
		"one that succeeded": {func(w *world) string {
			id := w.start("e1", commands.Routine).ID
			w.did(id, ledger.Succeeded, created, finished)
			return id
		}, commands.Unusable, "forgotten"},
		"one that went back": {func(w *world) string {
			id := w.start("e1", commands.Routine).ID
			w.did(id, ledger.RolledBack, created)
			return id
		}, commands.Unusable, "back already"},
		"one on its way back": {func(w *world) string {
			id := w.start("e1", commands.Routine).ID
			w.did(id, ledger.RollingBack, created)
			return id
		}, commands.Unusable, "on its way back"},
		"no run": {func(*world) string { return "r-none" }, commands.Unusable, "no run of that number"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := c.prepare(w)
			woken := count(w.jobs(), "run "+id)
			a := w.take(back("e2", id))
			if a.Outcome != c.outcome || !strings.Contains(a.Text, c.says) {
				t.Fatalf("answered %s: %s", a.Outcome, a.Text)
			}
			if id == "r-none" {
				return
			}
			run := w.run(id)
			if taken := run.Asked == ledger.WishRollback; taken != (c.outcome == commands.Taken) {
				t.Errorf("the run was asked %q", run.Asked)
			}
			if n := count(w.jobs(), "run "+id) - woken; n != 0 != (c.outcome == commands.Taken) {
				t.Errorf("woken %d times", n)
			}
			if c.outcome == commands.Taken && run.State.Final() {
				t.Errorf("the run is %s", run.State)
			}
			e := w.entries()
			if last := e[len(e)-1]; last.Action != "rollback.requested" || last.Why != "it broke" || last.Run != id {
				t.Errorf("the log says %+v", last)
			}
			// Slack delivers it twice.
			before := count(w.jobs(), "run "+id)
			if b := w.take(back("e2", id)); b.Text != a.Text || count(w.jobs(), "run "+id) != before {
				t.Errorf("the second time: %s", b.Text)
			}
		})
	}
}

func TestOnlyRespondersRollBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.waiting("e1")
	req := back("e2", run.ID)
	req.Actor = bob
	if a := w.take(req); a.Outcome != commands.Denied || w.run(run.ID).Asked != "" {
		t.Errorf("a reader was answered %s: %s", a.Outcome, a.Text)
	}
}

// Production waits for staging, unless the secret is compromised; the log keeps that.
//
// Guide: practices/staging-first
func TestStagingComesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cat.Environments[0].After, w.cat.Environments[0].AfterWithin = "staging", 14*24*time.Hour
	routine := func(id, name, env string) commands.Request {
		r := ask(id, alice, commands.Rotate, name)
		r.Mode, r.Environment = commands.Routine, env
		return r
	}
	if a := w.take(routine("e1", "REVALIDATE_SECRET", "")); a.Outcome != commands.Unusable || !strings.Contains(a.Text, "/rotate REVALIDATE_SECRET routine in staging") {
		t.Fatalf("answered %s: %s", a.Outcome, a.Text)
	}
	// What does not exist in staging has nothing to rehearse there.
	if a := w.take(routine("e2", "ANALYTICS_SECRET", "production")); a.Outcome != commands.Taken {
		t.Errorf("answered %s: %s", a.Outcome, a.Text)
	}
	staged := w.take(routine("e3", "REVALIDATE_SECRET", "staging")).Run
	held := w.claim(staged, "worker")
	err := w.journal(held).Commit(t.Context(), journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "rotate.ended"},
		Amend: func(r *ledger.Run) { r.State, r.EndedAt = ledger.Succeeded, w.clock() },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.pass(15 * 24 * time.Hour)
	if a := w.take(routine("e4", "REVALIDATE_SECRET", "")); a.Outcome != commands.Unusable || !strings.Contains(a.Text, "22 Nov 2026") {
		t.Errorf("15 days later: %s: %s", a.Outcome, a.Text)
	}
	w.pass(-2 * 24 * time.Hour)
	if a := w.take(routine("e5", "REVALIDATE_SECRET", "")); a.Outcome != commands.Taken {
		t.Errorf("13 days later: %s: %s", a.Outcome, a.Text)
	}

	w = newWorld(t)
	w.cat.Environments[0].After = "staging"
	if a := w.take(ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET")); a.Outcome != commands.Taken {
		t.Fatalf("compromised: %s: %s", a.Outcome, a.Text)
	}
	e := w.entries()
	if last := e[len(e)-1]; !strings.Contains(last.Detail["skipped"], "staging") {
		t.Errorf("the log does not say that staging was skipped: %+v", last)
	}
}

// What ends sessions is asked about first, and nothing is recorded until it is
// confirmed.
//
// Guide: procedures/secret-key/impact, procedures/database-url/impact
func TestWhatEndsSessionsIsAskedFirst(t *testing.T) {
	t.Parallel()
	for cost, says := range map[string]string{"120 sessions": "120 sessions end.", "broken": "could not be counted"} {
		w := newWorld(t)
		w.cat.Secrets[0].Places = []secret.Place{{Environment: "production", Sessions: &secret.Sessions{Count: strings.Fields(cost)}}}
		req := ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET")
		a := w.take(req)
		if a.Outcome != commands.Asking || a.Confirm == nil || !strings.Contains(a.Confirm.Cost, says) || len(w.entries()) != 0 || len(w.jobs()) != 0 {
			t.Fatalf("answered %s %q, %d entries, %d jobs", a.Outcome, a.Text, len(w.entries()), len(w.jobs()))
		}
		yes := a.Confirm.Request
		yes.ID = "e2"
		if b := w.take(yes); b.Outcome != commands.Taken {
			t.Errorf("confirmed: %s %s", b.Outcome, b.Text)
		}
	}
	// A routine rotation of it ends nothing.
	w := newWorld(t)
	w.cat.Secrets[0].Places = []secret.Place{{Environment: "production", Sessions: &secret.Sessions{Count: []string{"120"}}}}
	req := ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET")
	req.Mode = commands.Routine
	if a := w.take(req); a.Outcome != commands.Taken {
		t.Errorf("routine: %s %s", a.Outcome, a.Text)
	}
}

// A dry run tells everything and changes nothing: not a byte and not a time of the
// folder, the database's rows or the queue.
func TestADryRunTouchesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "app")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, ".env")
	if err := os.WriteFile(file, []byte("REVALIDATE_SECRET=a-value-of-today-1f0c9d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.cat.Environments[0].Consumers = []secret.Consumer{{Name: "api", Store: secret.Dotenv, Location: file, Reload: []string{"touch", filepath.Join(dir, "reloaded")}}}
	w.cat.Secrets[0].Places = []secret.Place{{Environment: "production", Uses: []secret.Use{{Consumer: "api", Variable: "REVALIDATE_SECRET", Previous: "REVALIDATE_SECRET_OLD", Role: secret.Both}}}}
	before := sight(t, dir)
	req := ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET")
	req.DryRun = true
	a := w.take(req)
	if a.Outcome != commands.Told || len(a.Plan) < 8 {
		t.Fatalf("answered %s: %s, %d steps", a.Outcome, a.Text, len(a.Plan))
	}
	told := ""
	for _, row := range a.Plan {
		told += row.Title + strings.Join(row.Would, ";") + "\n"
	}
	for _, word := range []string{file, "touch " + filepath.Join(dir, "reloaded")} {
		if !strings.Contains(told, word) {
			t.Errorf("the plan does not name %s", word)
		}
	}
	if strings.Contains(told, "1f0c9d") {
		t.Error("the plan tells the value")
	}
	if diff := cmp.Diff(before, sight(t, dir)); diff != "" || len(w.jobs()) != 0 || len(w.entries()) != 0 {
		t.Errorf("something was touched (%d jobs, %d entries):\n%s", len(w.jobs()), len(w.entries()), diff)
	}
}

func sight(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		if !d.IsDir() {
			b, err := os.ReadFile(path) //nolint:gosec // a folder of the test's own
			if err != nil {
				return err
			}
			text = string(b)
		}
		out[path] = info.ModTime().String() + info.Mode().String() + text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
