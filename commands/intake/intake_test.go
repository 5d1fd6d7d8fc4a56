package intake_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/intake"
)

func TestARotationIsRecordedWithItsJob(t *testing.T) {
	t.Parallel()
	for _, mode := range []commands.Mode{commands.Routine, commands.Compromised} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			run := w.start("e1", mode)
			want := ledger.Run{
				ID: run.ID, Kind: ledger.KindRotate, Secret: "REVALIDATE_SECRET", Environment: "production",
				Mode: string(mode), Reason: "found in a CI log", Actor: "slack:U0ALICE (alice)", ReplyTo: "C0ALERTS",
				Incident: run.ID, Paged: mode == commands.Compromised, State: ledger.Queued,
				Since: noon.Add(-intake.DefaultSince), CreatedAt: noon, Version: 1,
			}
			if diff := cmp.Diff(want, run); diff != "" {
				t.Errorf("the run (-want +got):\n%s", diff)
			}
			jobs, told := []string{"deliver " + run.ID + "/board", "run " + run.ID}, []string{"board"}
			if mode == commands.Compromised {
				jobs = []string{jobs[0], "deliver " + run.ID + "/page-trigger", jobs[1]}
				told = append(told, "page-trigger")
			}
			if diff := cmp.Diff(jobs, w.jobs()); diff != "" {
				t.Errorf("the jobs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(told, w.deliveries(run.ID)); diff != "" {
				t.Errorf("what is told (-want +got):\n%s", diff)
			}
			e := w.entries()[0]
			wantEntry := ledger.Entry{
				Seq: 1, At: noon, Actor: "slack:U0ALICE (alice)", Action: "rotate.requested", Subject: "production/REVALIDATE_SECRET",
				Run: run.ID, Why: "found in a CI log", Result: "accepted",
				Detail: map[string]string{"mode": string(mode), "incident": run.ID}, Prev: e.Prev, Hash: e.Hash,
			}
			if diff := cmp.Diff(wantEntry, e); diff != "" {
				t.Errorf("the entry (-want +got):\n%s", diff)
			}
		})
	}
}

// Names are taken in any case and recorded as the catalogue writes them, so that one
// secret has one history.
func TestNamesAreRecordedAsTheCatalogueWritesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	req := ask("e1", alice, commands.Rotate, "revalidate_secret")
	req.Environment = "Staging"
	run := w.run(w.take(req).Run)
	if run.Secret != "REVALIDATE_SECRET" || run.Environment != "staging" {
		t.Errorf("recorded as %s in %s", run.Secret, run.Environment)
	}
}

func TestAnAuditIsNobodysEmergency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	req := ask("e1", bob, commands.Audit, "EMAIL_HOST_PASSWORD")
	req.Since = 3 * time.Hour
	a := w.take(req)
	run := w.run(a.Run)
	if a.Verb != commands.Audit || run.Kind != ledger.KindAudit || run.Paged || run.Mode != "" || !run.Since.Equal(noon.Add(-3*time.Hour)) {
		t.Errorf("answered %+v, run %+v", a, run)
	}
	if diff := cmp.Diff([]string{"board"}, w.deliveries(run.ID)); diff != "" {
		t.Errorf("what is told (-want +got):\n%s", diff)
	}
	// It stands in nobody's way, and joins no incident.
	if r := w.start("e2", commands.Compromised); r.Incident != r.ID {
		t.Errorf("the rotation joined %s", r.Incident)
	}
}

// A window with an end is recorded as exactly as it was asked for.
func TestAnAuditOfAnExactWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	req := ask("e1", bob, commands.Audit, "EMAIL_HOST_PASSWORD")
	req.From, req.Until = noon.Add(-49*time.Hour), noon.Add(-time.Hour-time.Microsecond)
	a := w.take(req)
	run := w.run(a.Run)
	look, err := commands.ReadLook(run.Memo)
	if err != nil || !run.Since.Equal(req.From) || !look.Until.Equal(req.Until) {
		t.Errorf("recorded from %v until %v, %v", run.Since, look.Until, err)
	}
	if !strings.Contains(a.Text, "since 20 Nov 11:00 UTC until 22 Nov 10:59 UTC") {
		t.Errorf("answered %q", a.Text)
	}
}

// A redelivered request starts nothing and is answered as before, whatever the answer
// was.
func TestARequestIsTakenOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before func(w *world)
		req    commands.Request
	}{
		"started":    {func(*world) {}, ask("e9", alice, commands.Rotate, "REVALIDATE_SECRET")},
		"audit":      {func(*world) {}, ask("e9", bob, commands.Audit, "REVALIDATE_SECRET")},
		"denied":     {func(*world) {}, ask("e9", mallory, commands.Rotate, "REVALIDATE_SECRET")},
		"misspelt":   {func(*world) {}, ask("e9", alice, commands.Rotate, "REVALIDATE")},
		"busy":       {func(w *world) { w.start("e1", commands.Compromised) }, ask("e9", alice, commands.Rotate, "REVALIDATE_SECRET")},
		"escalation": {func(w *world) { w.waiting("e1") }, ask("e9", alice, commands.Rotate, "REVALIDATE_SECRET")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.before(w)
			first := w.take(c.req)
			before, version := w.counts(), w.version(first.Run)
			w.pass(time.Second)
			again := w.take(c.req)
			if again.Outcome != first.Outcome || again.Text != first.Text || again.Verb != first.Verb {
				t.Errorf("first %s %q, then %s %q", first.Outcome, first.Text, again.Outcome, again.Text)
			}
			if first.Outcome == commands.Taken && again.Run != first.Run {
				t.Errorf("first run %s, then %s", first.Run, again.Run)
			}
			if after := w.counts(); after != before {
				t.Errorf("the second delivery left something behind: %s, before %s", after, before)
			}
			if v := w.version(first.Run); v != version {
				t.Errorf("the second delivery changed the run: version %d, before %d", v, version)
			}
		})
	}
}

func (w *world) version(run string) int64 {
	w.t.Helper()
	if run == "" {
		return 0
	}
	return w.run(run).Version
}

// Of many deliveries of one request at once, one starts a run.
func TestARequestIsTakenOnceByManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	runs := make([]string, 8)
	for i := range runs {
		wg.Go(func() {
			a, err := w.desk.Take(t.Context(), ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET"))
			if err != nil {
				t.Errorf("taking: %v", err)
			}
			runs[i] = a.Run
		})
	}
	wg.Wait()
	for _, r := range runs {
		if r == "" || r != runs[0] {
			t.Fatalf("the answers name different runs: %q", runs)
		}
	}
	if got := w.counts(); got != "1 runs, 1 entries, 3 jobs, 1 requests, 2 deliveries" {
		t.Errorf("left behind: %s", got)
	}
}

// An incident that was left open is joined, so that on-call has one page for it; one
// that ended well is not.
func TestOneIncidentHasOnePage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, second commands.Mode
		end           ledger.RunState
		joins, paged  bool
	}{
		{commands.Compromised, commands.Compromised, ledger.Failed, true, true},
		{commands.Compromised, commands.Compromised, ledger.RolledBack, true, true},
		{commands.Compromised, commands.Routine, ledger.Failed, true, true},
		{commands.Compromised, commands.Compromised, ledger.Succeeded, false, true},
		{commands.Compromised, commands.Routine, ledger.Succeeded, false, false},
		{commands.Routine, commands.Routine, ledger.RolledBack, false, false}, // nobody was paged
	} {
		w := newWorld(t)
		first := w.start("e1", c.first)
		w.end(first.ID, c.end)
		w.pass(time.Minute)
		second := w.start("e2", c.second)
		if joined := second.Incident == first.ID; joined != c.joins || second.Paged != c.paged {
			t.Errorf("%+v: joined %v, paged %v", c, joined, second.Paged)
		}
		if !c.joins && second.Incident != second.ID {
			t.Errorf("%+v: the incident is %s", c, second.Incident)
		}
		told := w.deliveries(second.ID)
		if pages := len(told) == 2 && told[1] == "page-trigger"; pages != c.paged {
			t.Errorf("%+v: told %v", c, told)
		}
		if !c.joins {
			continue
		}
		w.end(second.ID, ledger.Failed)
		w.pass(time.Minute)
		if third := w.start("e3", commands.Routine); third.Incident != first.ID {
			t.Errorf("%+v: the third run is of incident %s", c, third.Incident)
		}
		// Another environment is another incident.
		req := ask("e4", alice, commands.Rotate, "REVALIDATE_SECRET")
		req.Environment = "staging"
		if other := w.run(w.take(req).Run); other.Incident != other.ID {
			t.Errorf("staging joined the incident of production")
		}
	}
}

// Where the intent cannot be recorded together with its job, nothing is recorded and
// the caller can tell.
func TestNothingIsRecordedByHalves(t *testing.T) {
	t.Parallel()
	execute := func(w *world, statement string) {
		w.t.Helper()
		if _, err := w.store.DB().ExecContext(context.Background(), statement); err != nil {
			w.t.Fatalf("%s: %v", statement, err)
		}
	}
	for name, c := range map[string]struct{ fail, mend func(*world) }{
		"the queue has no table": {
			func(w *world) { execute(w, "ALTER TABLE river_job RENAME TO hidden") },
			func(w *world) { execute(w, "ALTER TABLE hidden RENAME TO river_job") },
		},
		"the database is read-only": {
			func(w *world) { execute(w, "PRAGMA query_only = 1") },
			func(w *world) { execute(w, "PRAGMA query_only = 0") },
		},
		"the log cannot be written": {
			func(w *world) {
				execute(w, "CREATE TRIGGER full BEFORE INSERT ON rekey_ledger BEGIN SELECT RAISE(ABORT, 'disk full'); END")
			},
			func(w *world) { execute(w, "DROP TRIGGER full") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			before := w.counts()
			c.fail(w)
			for _, req := range []commands.Request{
				ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET"),
				ask("e2", bob, commands.Audit, "REVALIDATE_SECRET"),
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				a, err := w.desk.Take(ctx, req)
				cancel()
				if !errors.Is(err, ledger.ErrNotStarted) || errors.Is(err, ledger.ErrUnknownOutcome) {
					t.Errorf("%s: error %v, want one that says that nothing was recorded", req.Verb, err)
				}
				if diff := cmp.Diff(commands.Answer{}, a); diff != "" {
					t.Errorf("%s was answered all the same:\n%s", req.Verb, diff)
				}
			}
			c.mend(w)
			if after := w.counts(); after != before {
				t.Errorf("left behind: %s", after)
			}
			// The same request can be taken once the fault is mended.
			if a := w.take(ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET")); a.Outcome != commands.Taken {
				t.Errorf("afterwards: %s %s", a.Outcome, a.Text)
			}
		})
	}
}

func TestAClosedStoreTakesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []commands.Verb{commands.Rotate, commands.Audit, commands.List, commands.Status} {
		if _, err := w.desk.Take(t.Context(), ask("e1", alice, verb, "REVALIDATE_SECRET")); !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("%s: %v, want closed", verb, err)
		}
	}
	if _, err := w.desk.Take(t.Context(), ask("e1", mallory, commands.Rotate, "REVALIDATE_SECRET")); !errors.Is(err, ledger.ErrClosed) {
		t.Error("a refusal that cannot be recorded was given all the same")
	}
	w.store = w.open(nil)
	if got := w.counts(); got != "0 runs, 0 entries, 0 jobs, 0 requests, 0 deliveries" {
		t.Errorf("left behind: %s", got)
	}
}

// While somebody else holds the database's lock, a request ends at its deadline with
// the certainty that nothing was recorded.
func TestADatabaseThatIsTooSlowStartsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db, err := sql.Open("sqlite", w.database())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = w.desk.Take(ctx, ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET"))
	if !errors.Is(err, ledger.ErrNotStarted) {
		t.Errorf("%v, want an error that says that nothing was recorded", err)
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if got := w.counts(); got != "0 runs, 0 entries, 0 jobs, 0 requests, 0 deliveries" {
		t.Errorf("left behind: %s", got)
	}
}

func TestAnUnknownVerbIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.take(ask("e1", alice, "destroy", "")); a.Outcome != commands.Unusable || !strings.Contains(a.Text, "/rotate help") {
		t.Errorf("answered %s: %s", a.Outcome, a.Text)
	}
}
