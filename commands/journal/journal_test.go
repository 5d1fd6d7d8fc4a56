package journal_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/audit/ledger/sqlite"
	"rekey/commands/jobs"
	"rekey/commands/journal"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const id = "r-1"

// world is a claimed run in a real database, with the real queue beside it.
type world struct {
	t     *testing.T
	store *sqlite.Store
	queue *jobs.Engine
	now   time.Time
	seen  []string
	look  func(step ledger.Step, m journal.Moment) // called by the observer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: noon}
	var err error
	w.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "rekey.db"), Key: ledgertest.Key(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	if w.queue, err = jobs.InsertOnly(t.Context(), jobs.Config{Store: w.store}); err != nil {
		t.Fatal(err)
	}
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		return tx.InsertRun(ctx, ledger.Run{
			ID: id, Kind: ledger.KindRotate, Secret: "REVALIDATE_SECRET", Environment: "production", Actor: "cli:root",
			Incident: id, State: ledger.Queued, CreatedAt: noon, Version: 1,
		})
	})
	return w
}

func (w *world) update(fn func(ctx context.Context, tx ledger.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(context.Background(), fn); err != nil {
		w.t.Fatalf("writing: %v", err)
	}
}

func (w *world) execute(statement string) {
	w.t.Helper()
	if _, err := w.store.DB().ExecContext(context.Background(), statement); err != nil {
		w.t.Fatalf("%s: %v", statement, err)
	}
}

// claim makes replica, alive for that long, the holder of the run and opens its journal.
func (w *world) claim(replica string, lease time.Duration) *journal.Journal {
	w.t.Helper()
	var run ledger.Run
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		if err := tx.Beat(ctx, ledger.Replica{ID: replica}, lease); err != nil {
			return err
		}
		var err error
		run, err = tx.ClaimRun(ctx, id, replica)
		return err
	})
	j, err := journal.Open(context.Background(), journal.Config{
		Store: w.store, Queue: w.queue, Now: func() time.Time { return w.now },
		Observer: func(run ledger.Run, step ledger.Step, m journal.Moment) {
			w.seen = append(w.seen, fmt.Sprintf("%s %s %s", run.ID, step.Key, m))
			if w.look != nil {
				w.look(step, m)
			}
		},
	}, run)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

// state is all that the database knows of the run.
type state struct {
	Run          ledger.Run
	Steps        []ledger.Step
	Entries      []ledger.Entry
	Deliveries   []ledger.Delivery
	Fingerprints []ledger.Fingerprint
	Jobs         int
}

func (w *world) state() state {
	w.t.Helper()
	var s state
	err := w.store.View(context.Background(), func(ctx context.Context, tx ledger.Tx) error {
		var errs [5]error
		s.Run, errs[0] = tx.Run(ctx, id)
		s.Steps, errs[1] = tx.Steps(ctx, id)
		s.Entries, errs[2] = tx.Entries(ctx, id)
		s.Deliveries, errs[3] = tx.Deliveries(ctx, id)
		s.Fingerprints, errs[4] = tx.Fingerprints(ctx)
		return errors.Join(errs[:]...)
	})
	if err != nil {
		w.t.Fatalf("reading: %v", err)
	}
	if err := w.store.DB().QueryRowContext(context.Background(), "SELECT count(*) FROM river_job").Scan(&s.Jobs); err != nil {
		// The test has taken the table away.
		s.Jobs = -1
	}
	return s
}

func pending(n int, key string) ledger.Step {
	return ledger.Step{Run: id, Index: n, Key: key, Kind: key, Title: "Do " + key, State: ledger.StepPending}
}

// full is a change with everything in it.
func full() journal.Change {
	return journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "step.done", Result: "done"},
		Steps: []ledger.Step{pending(0, "check"), pending(1, "create")},
		Amend: func(r *ledger.Run) { r.State, r.Problem = ledger.Running, r.Problem+"once" },
		Tell:  []journal.Notice{{Kind: journal.Thread, Name: "step/check", Subject: "check"}},
		Fingerprints: []ledger.Fingerprint{
			{Secret: "REVALIDATE_SECRET", Environment: "production", Role: "live", Form: "raw/0", Length: 64, Roll: 7, MAC: []byte("mac"), At: noon},
		},
	}
}

func TestACommitIsWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.claim("here", time.Minute)
	if err := j.Commit(t.Context(), full()); err != nil {
		t.Fatal(err)
	}
	s := w.state()
	if s.Run.State != ledger.Running || s.Run.Version != 2 || len(s.Fingerprints) != 1 || s.Jobs != 2 {
		t.Errorf("committed: %+v", s)
	}
	if diff := cmp.Diff([]ledger.Step{pending(0, "check"), pending(1, "create")}, s.Steps); diff != "" {
		t.Errorf("the steps (-want +got):\n%s", diff)
	}
	want := ledger.Entry{
		Seq: 1, At: noon, Actor: "rekey", Action: "step.done", Subject: "production/REVALIDATE_SECRET", Run: id, Result: "done",
		Prev: s.Entries[0].Prev, Hash: s.Entries[0].Hash,
	}
	if diff := cmp.Diff([]ledger.Entry{want}, s.Entries); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	var told []ledger.Delivery
	for _, d := range s.Deliveries {
		told = append(told, ledger.Delivery{ID: d.ID, Kind: d.Kind, Subject: d.Subject, Wanted: d.Wanted})
	}
	slices.SortFunc(told, func(a, b ledger.Delivery) int { return len(a.ID) - len(b.ID) })
	wantTold := []ledger.Delivery{
		{ID: "r-1/board", Kind: journal.Board, Wanted: 2},
		{ID: "r-1/step/check", Kind: journal.Thread, Subject: "check", Wanted: 2},
	}
	if diff := cmp.Diff(wantTold, told); diff != "" {
		t.Errorf("what is told (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(s.Run, j.Run()); diff != "" {
		t.Errorf("the journal's run is not the database's (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(s.Steps, j.Steps()); diff != "" {
		t.Errorf("the journal's steps are not the database's (-want +got):\n%s", diff)
	}
}

// Whichever part cannot be written, none is, the journal stays where it was, and the
// same commit succeeds once the fault is mended.
func TestACommitIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	for _, table := range []string{"rekey_runs", "rekey_steps", "rekey_ledger", "rekey_deliveries", "rekey_fingerprints", "river_job"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			j := w.claim("here", time.Minute)
			before, run, steps := w.state(), j.Run(), j.Steps()
			for _, when := range []string{"INSERT", "UPDATE"} {
				w.execute(fmt.Sprintf("CREATE TRIGGER no_%s BEFORE %s ON %s BEGIN SELECT RAISE(ABORT, 'disk full'); END", when, when, table))
			}
			if err := j.Commit(t.Context(), full()); err == nil {
				t.Fatal("the commit went through")
			}
			if diff := cmp.Diff(before, w.state()); diff != "" {
				t.Errorf("something was recorded (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(run, j.Run()); diff != "" {
				t.Errorf("the journal's run moved (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(steps, j.Steps()); diff != "" {
				t.Errorf("the journal's steps moved (-before +after):\n%s", diff)
			}
			w.execute("DROP TRIGGER no_INSERT")
			w.execute("DROP TRIGGER no_UPDATE")
			if err := j.Commit(t.Context(), full()); err != nil {
				t.Fatalf("after the fault was mended: %v", err)
			}
			if s := w.state(); s.Run.Problem != "once" || s.Run.Version != 2 || len(s.Entries) != 1 || s.Jobs != 2 {
				t.Errorf("after the fault was mended: %+v", s)
			}
		})
	}
}

// A process that was taken for dead can neither begin, settle nor commit.
func TestWhoWasTakenForDeadChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.claim("paused", -time.Second)
	if err := j.Commit(t.Context(), full()); err != nil {
		t.Fatalf("a late heartbeat alone fences nobody: %v", err)
	}
	if err := j.Still(t.Context()); err != nil {
		t.Errorf("the run is still ours, but: %v", err)
	}
	heir := w.claim("heir", time.Minute)
	before, run := w.state(), j.Run()
	step := j.Steps()[0]
	_, begin := j.Begin(t.Context(), step)
	for name, err := range map[string]error{
		"Commit": j.Commit(t.Context(), full()),
		"Begin":  begin,
		"Settle": j.Settle(t.Context(), step, ledger.StepDone, "seen", journal.Change{}),
		"Still":  j.Still(t.Context()),
	} {
		if !errors.Is(err, ledger.ErrFenced) {
			t.Errorf("%s: %v, want fenced", name, err)
		}
	}
	if diff := cmp.Diff(before, w.state()); diff != "" {
		t.Errorf("something was recorded (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(run, j.Run()); diff != "" {
		t.Errorf("the journal moved (-before +after):\n%s", diff)
	}
	if err := heir.Still(t.Context()); err != nil {
		t.Errorf("the heir: %v", err)
	}
	// Released and claimed again by the same replica is another claim, too.
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		r := heir.Run()
		if err := tx.ReleaseRun(ctx, id, r.Holder, r.Fence); err != nil {
			return err
		}
		_, err := tx.ClaimRun(ctx, id, r.Holder)
		return err
	})
	if err := heir.Still(t.Context()); !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("the same replica's earlier claim: %v, want fenced", err)
	}
}

// Still tells why a caller has to stop, and does not hide that the run is gone.
func TestStill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.claim("here", time.Minute)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ledger.ErrFenced)
	if err := j.Still(ctx); !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("with a context that ended: %v, want its cause", err)
	}
	w.execute("DELETE FROM rekey_runs")
	if err := j.Still(t.Context()); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("without the run: %v, want not found", err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Still(t.Context()); err == nil {
		t.Error("a database that cannot be asked said yes")
	}
}

// The intent and its token are stored before the act, and the token stays the same
// whoever tries again.
func TestBeginStoresTheTokenBeforeTheAct(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.claim("first", -time.Second)
	if err := j.Commit(t.Context(), full()); err != nil {
		t.Fatal(err)
	}
	var tokens []string
	for attempt := 1; attempt <= 3; attempt++ {
		w.now = w.now.Add(time.Minute)
		next, ok := j.Next()
		if !ok || next.Key != "check" {
			t.Fatalf("attempt %d: the next step is %q", attempt, next.Key)
		}
		step, err := j.Begin(t.Context(), next)
		if err != nil {
			t.Fatal(err)
		}
		stored := w.state().Steps[0]
		if diff := cmp.Diff(stored, step); diff != "" {
			t.Errorf("attempt %d: begun otherwise than stored (-stored +begun):\n%s", attempt, diff)
		}
		if stored.State != ledger.StepRunning || stored.Attempt != attempt || !stored.Started.Equal(noon.Add(time.Minute)) || len(stored.Token) < 20 {
			t.Errorf("attempt %d: stored %+v", attempt, stored)
		}
		tokens = append(tokens, stored.Token)
		entries := w.state().Entries
		e := entries[len(entries)-1]
		if e.Action != "step.started" || e.Detail["step"] != "check" || e.Detail["attempt"] != fmt.Sprint(attempt) || e.Detail["fence"] != fmt.Sprint(attempt) {
			t.Errorf("attempt %d: the log says %+v", attempt, e)
		}
		j = w.claim(fmt.Sprintf("successor %d", attempt), -time.Second)
	}
	if tokens[0] != tokens[1] || tokens[1] != tokens[2] {
		t.Error("the token changed from one attempt to the next")
	}
	// Another step has another token.
	step, _ := j.Begin(t.Context(), j.Steps()[1])
	if step.Token == tokens[0] || step.Token == "" {
		t.Error("two steps share a token")
	}
}

// Settle writes the result of the step together with what follows from it.
func TestSettle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.claim("here", time.Minute)
	if err := j.Commit(t.Context(), full()); err != nil {
		t.Fatal(err)
	}
	step, err := j.Begin(t.Context(), j.Steps()[0])
	if err != nil {
		t.Fatal(err)
	}
	w.now = noon.Add(time.Hour)
	dropped := pending(1, "create")
	dropped.State = ledger.StepSkipped
	err = j.Settle(t.Context(), step, ledger.StepFailed, "api refuses", journal.Change{
		Steps: []ledger.Step{dropped, pending(2, "rollback")},
		Amend: func(r *ledger.Run) { r.State = ledger.RollingBack },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := w.state()
	want := step
	want.State, want.Note, want.Ended = ledger.StepFailed, "api refuses", noon.Add(time.Hour)
	if diff := cmp.Diff([]ledger.Step{want, dropped, pending(2, "rollback")}, s.Steps); diff != "" {
		t.Errorf("the steps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(s.Steps, j.Steps()); diff != "" {
		t.Errorf("the journal's steps (-want +got):\n%s", diff)
	}
	e := s.Entries[len(s.Entries)-1]
	if e.Action != "step.failed" || e.Result != "failed" || e.Why != "Do check" || e.Detail["seen"] != "api refuses" || e.Detail["step"] != "check" {
		t.Errorf("the log says %+v", e)
	}
	if s.Run.State != ledger.RollingBack {
		t.Errorf("the run is %s", s.Run.State)
	}
}

// Next goes through the steps in order, takes up one that was begun, and passes what
// is settled in whichever way.
func TestNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.claim("here", time.Minute)
	if _, ok := j.Next(); ok {
		t.Error("a run without steps has a next one")
	}
	var steps []ledger.Step
	for i, st := range []ledger.StepState{
		ledger.StepDone, ledger.StepFailed, ledger.StepSkipped, ledger.StepUndone, ledger.StepRunning, ledger.StepPending,
	} {
		s := pending(i, string(st))
		s.State = st
		steps = append(steps, s)
	}
	commit := func(steps ...ledger.Step) {
		t.Helper()
		if err := j.Commit(t.Context(), journal.Change{Entry: ledger.Entry{Action: "planned"}, Steps: steps}); err != nil {
			t.Fatal(err)
		}
	}
	commit(steps...)
	for _, want := range []string{"running", "pending", ""} {
		next, ok := j.Next()
		if next.Key != want || ok != (want != "") {
			t.Fatalf("next is %q, want %q", next.Key, want)
		}
		next.State = ledger.StepDone
		if ok {
			commit(next)
		}
	}
	// A successor reads the same.
	commit(pending(6, "late"))
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		r := j.Run()
		return tx.ReleaseRun(ctx, id, r.Holder, r.Fence)
	})
	if next, ok := w.claim("heir", time.Minute).Next(); !ok || next.Key != "late" {
		t.Errorf("the heir's next step is %q", next.Key)
	}
	// What Steps answers is the caller's own.
	j.Steps()[0].Key = "scribble"
	if j.Steps()[0].Key == "scribble" {
		t.Error("the journal's steps can be changed from outside")
	}
}

// A notice that is asked for again is one delivery with one job: only what is wanted
// rises. Once it was sent, asking again needs another job.
func TestANoticeIsQueuedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.claim("here", time.Minute)
	page := journal.Notice{Kind: journal.PageTrigger, Name: "page-trigger"}
	for range 3 {
		if err := j.Commit(t.Context(), journal.Change{Entry: ledger.Entry{Action: "x"}, Tell: []journal.Notice{page}}); err != nil {
			t.Fatal(err)
		}
	}
	s := w.state()
	if len(s.Deliveries) != 2 || s.Jobs != 2 {
		t.Errorf("%d deliveries with %d jobs, want 2 and 2", len(s.Deliveries), s.Jobs)
	}
	for _, d := range s.Deliveries {
		if d.Wanted != 4 || d.Wanted != s.Run.Version {
			t.Errorf("%s: wanted %d, the run is at version %d", d.ID, d.Wanted, s.Run.Version)
		}
	}
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		d, err := tx.ClaimDelivery(ctx, "r-1/page-trigger", "here")
		if err != nil {
			return err
		}
		d.Sent = d.Wanted
		return tx.UpdateDelivery(ctx, &d)
	})
	if err := j.Commit(t.Context(), journal.Change{Entry: ledger.Entry{Action: "x"}, Tell: []journal.Notice{page}}); err != nil {
		t.Fatal(err)
	}
	if s := w.state(); s.Jobs != 3 || len(s.Deliveries) != 2 {
		t.Errorf("%d deliveries with %d jobs, want 2 and 3", len(s.Deliveries), s.Jobs)
	}
}

// The observer is called after the intent is stored, before the result is, and after
// it is; and not at all for what was not committed.
func TestTheObserverSeesEachMomentInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	j := w.claim("here", time.Minute)
	if err := j.Commit(t.Context(), full()); err != nil {
		t.Fatal(err)
	}
	inDatabase := map[journal.Moment]ledger.StepState{}
	w.look = func(_ ledger.Step, m journal.Moment) { inDatabase[m] = w.state().Steps[0].State }
	step, err := j.Begin(t.Context(), j.Steps()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Settle(t.Context(), step, ledger.StepDone, "", journal.Change{}); err != nil {
		t.Fatal(err)
	}
	want := map[journal.Moment]ledger.StepState{
		journal.Intended: ledger.StepRunning, journal.Acted: ledger.StepRunning, journal.Settled: ledger.StepDone,
	}
	if diff := cmp.Diff(want, inDatabase); diff != "" {
		t.Errorf("the step in the database at each moment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"r-1 check intended", "r-1 check acted", "r-1 check settled"}, w.seen); diff != "" {
		t.Errorf("the moments (-want +got):\n%s", diff)
	}
	w.look, w.seen = nil, nil
	step = j.Steps()[1]
	w.execute("CREATE TRIGGER full BEFORE INSERT ON rekey_ledger BEGIN SELECT RAISE(ABORT, 'disk full'); END")
	if _, err := j.Begin(t.Context(), step); err == nil {
		t.Fatal("begun without a record")
	}
	if err := j.Settle(t.Context(), step, ledger.StepDone, "", journal.Change{}); err == nil {
		t.Fatal("settled without a record")
	}
	if diff := cmp.Diff([]string{"r-1 create acted"}, w.seen); diff != "" {
		t.Errorf("the moments of what was not recorded (-want +got):\n%s", diff)
	}
}
