package intake_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/intake"
	"rekey/commands/journal"
	"rekey/commands/secret"
)

// nine is nine o'clock on a Tuesday; REVALIDATE_SECRET is due since the day before.
var nine = time.Date(2026, 12, 22, 9, 0, 0, 0, time.UTC)

func digestWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.cat.Schedule = secret.Schedule{Zone: time.UTC, Digest: 9 * time.Hour}
	w.cat.Secrets[0].LastRotated = time.Date(2026, 9, 21, 0, 0, 0, 0, time.UTC)
	w.pass(nine.Sub(noon))
	return w
}

func (w *world) post(at time.Time) {
	w.t.Helper()
	if err := w.desk.PostDigest(w.t.Context(), at); err != nil {
		w.t.Fatalf("posting the digest at %v: %v", at, err)
	}
}

// kept is the digest that is to be told of a day; ok is false where nothing was decided
// yet or there is nothing to tell.
func (w *world) kept(day string) (d commands.DailyDigest, ok bool) {
	w.t.Helper()
	memo := view(w, func(ctx context.Context, tx ledger.Tx) (string, error) {
		r, err := tx.Request(ctx, "digest/"+day)
		if errors.Is(err, ledger.ErrNotFound) {
			return "", nil
		}
		return r.Answer, err
	})
	if memo == "" {
		return d, false
	}
	d, err := commands.ReadDigest(memo)
	if err != nil {
		w.t.Fatal(err)
	}
	return d, true
}

// The digest is decided at its time, or later the same day, once; with the job that
// tells it.
//
// Guide: schedule/digest
func TestTheDigestIsDecidedOnceADay(t *testing.T) {
	t.Parallel()
	w := digestWorld(t)
	w.post(nine.Add(-time.Second))
	if before := w.counts(); before != "0 runs, 0 entries, 0 jobs, 0 requests, 0 deliveries" {
		t.Fatalf("before its time: %s", before)
	}
	w.post(nine)
	const once = "0 runs, 0 entries, 1 jobs, 1 requests, 1 deliveries"
	if after := w.counts(); after != once {
		t.Errorf("at its time: %s", after)
	}
	d, ok := w.kept("2026-12-22")
	if !ok || len(d.Overdue) != 2 || d.Overdue[0].Secret != "REVALIDATE_SECRET" || d.Overdue[0].Command != "/rotate REVALIDATE_SECRET routine in production" || d.Overdue[1].Environment != "staging" {
		t.Errorf("decided: %+v", d)
	}
	if diff := cmp.Diff([]string{"deliver digest/2026-12-22"}, w.jobs()); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	for _, again := range []time.Duration{time.Minute, 14 * time.Hour} {
		w.post(nine.Add(again))
	}
	if after := w.counts(); after != once {
		t.Errorf("later that day: %s", after)
	}
	w.post(nine.Add(15 * time.Hour)) // the next day, before nine
	if after := w.counts(); after != once {
		t.Errorf("the next day, too early: %s", after)
	}
	w.post(nine.Add(30 * time.Hour)) // down at nine, up again at three
	if d, ok := w.kept("2026-12-23"); !ok || d.At.Hour() != 15 {
		t.Errorf("the next day, too late: %v %+v", ok, d)
	}
}

// A day without anything to tell is decided as well: what falls due in the afternoon
// waits for the morning.
func TestASilentDayStaysSilent(t *testing.T) {
	t.Parallel()
	w := digestWorld(t)
	for i := range w.cat.Secrets {
		w.cat.Secrets[i].RotateEvery, w.cat.Secrets[i].RotateMonths = 0, 0
	}
	w.post(nine)
	w.cat.Secrets[0].RotateEvery, w.cat.Secrets[0].RotateMonths = 24*time.Hour, 0
	w.post(nine.Add(5 * time.Hour))
	if after := w.counts(); after != "0 runs, 0 entries, 0 jobs, 1 requests, 0 deliveries" {
		t.Errorf("a silent day left %s", after)
	}
	w.post(nine.Add(24 * time.Hour))
	if _, ok := w.kept("2026-12-23"); !ok {
		t.Error("the next day is silent as well")
	}
}

// Many processes look at the same moment.
func TestTheDigestIsDecidedOnceByManyAtOnce(t *testing.T) {
	t.Parallel()
	w := digestWorld(t)
	var wg sync.WaitGroup
	for range 8 {
		store := w.open(nil)
		desk := intake.New(intake.Config{Catalogue: w.cat, Store: store, Queue: w.queue, Guard: w.guard, Now: w.clock})
		for day := range 5 {
			wg.Go(func() {
				if err := desk.PostDigest(context.Background(), nine.AddDate(0, 0, day)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if after := w.counts(); after != "0 runs, 0 entries, 5 jobs, 5 requests, 5 deliveries" {
		t.Errorf("5 days have left %s", after)
	}
}

// Whoever asks is told what would be sent, and leaves no trace.
func TestAskingForTheDigestTouchesNothing(t *testing.T) {
	t.Parallel()
	w := digestWorld(t)
	before := w.counts()
	a := w.take(ask("e1", bob, commands.Digest, ""))
	if a.Outcome != commands.Told || a.Digest == nil || a.Text != "2 overdue, 0 due within 14 days, 0 waiting for a person." {
		t.Errorf("answered %s %+v: %s", a.Outcome, a.Digest, a.Text)
	}
	if after := w.counts(); after != before {
		t.Errorf("asking has left %s", after)
	}
	w.post(nine)
	kept, _ := w.kept("2026-12-22")
	if diff := cmp.Diff(kept, *a.Digest); diff != "" {
		t.Errorf("what is sent is not what was shown (-sent +shown):\n%s", diff)
	}
}

// What a person has to look at: a run that waits for more than its overlap, and one that
// ended badly and was not mended since.
func TestRunsThatWaitForAPersonAreInTheDigest(t *testing.T) {
	t.Parallel()
	w := digestWorld(t)
	says := func() (all []string) {
		t.Helper()
		for _, r := range w.take(ask("", bob, commands.Digest, "")).Digest.Waiting {
			all = append(all, r.Secret+" by "+commands.NameOf(r.By)+": "+r.Says)
		}
		return all
	}
	run := w.waiting("e1")
	if got := says(); got != nil {
		t.Errorf("an overlap waits for nobody, but: %q", got)
	}
	held := w.claim(run.ID, "worker")
	err := w.journal(held).Commit(t.Context(), journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "run.waiting"},
		Steps: []ledger.Step{
			{Run: run.ID, Index: 1, Key: "overlap", Kind: "overlap", State: ledger.StepDone},
			{Run: run.ID, Index: 2, Key: "retire/revoke", Kind: "revoke", State: ledger.StepRunning, Note: "Delete the old password."},
		},
		Amend: func(r *ledger.Run) { r.State = ledger.Waiting },
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"REVALIDATE_SECRET by alice: Delete the old password."}, says()); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	w.release(w.run(run.ID))
	w.end(run.ID, ledger.Failed)
	if got := says(); len(got) != 1 || !strings.Contains(got[0], "a person must look: /rotate status "+run.ID) {
		t.Errorf("failed: %q", got)
	}
	w.pass(time.Minute)
	leaked := w.start("e2", commands.Compromised)
	w.end(leaked.ID, ledger.RolledBack)
	if got := says(); len(got) != 1 || !strings.Contains(got[0], "still valid") || !strings.Contains(got[0], "/rotate REVALIDATE_SECRET compromised in production") {
		t.Errorf("rolled back: %q", got)
	}
	w.pass(time.Minute)
	w.end(w.start("e3", commands.Compromised).ID, ledger.Succeeded)
	if got := says(); got != nil {
		t.Errorf("mended, but: %q", got)
	}
}

// The command to type is one that is not refused.
func TestTheDigestKnowsThatStagingComesFirst(t *testing.T) {
	t.Parallel()
	w := digestWorld(t)
	w.cat.Environments[0].After, w.cat.Environments[0].AfterWithin = "staging", 14*24*time.Hour
	row := func() commands.DigestRow { return w.take(ask("", bob, commands.Digest, "")).Digest.Overdue[0] }
	if r := row(); r.Environment != "production" || r.First != "staging" || r.Command != "/rotate REVALIDATE_SECRET routine in staging" {
		t.Errorf("before staging: %+v", r)
	}
	req := ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET")
	req.Mode, req.Environment = commands.Routine, "staging"
	w.end(w.take(req).Run, ledger.Succeeded)
	if r := row(); r.Environment != "production" || r.First != "" || r.Command != "/rotate REVALIDATE_SECRET routine in production" {
		t.Errorf("after staging: %+v", r)
	}
}
