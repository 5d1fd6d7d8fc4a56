package emergency_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/estatetest"
	"rekey/commands/jobs"
	"rekey/commands/journal"
)

// What people are told, and how the run is recorded, when all goes well.
//
// Guide: practices/document-rotations
func TestAnEmergencyEndsWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(nil)
	run := w.work()
	if run.State != ledger.Succeeded || run.Problem != "" || !run.EndedAt.Equal(w.clock()) || !run.StartedAt.Equal(w.clock()) || !run.WakeAt.IsZero() {
		t.Fatalf("the run: %+v", run)
	}
	w.serves(false)
	if diff := cmp.Diff([]string{"board", "files", "page-resolve", "report", "steps"}, w.told()); diff != "" {
		t.Errorf("what is told (-want +got):\n%s", diff)
	}
	if r := w.report(); r.Secret != name || r.Environment != "production" || !r.Window.Since.Equal(run.Since) || !r.Window.Until.Equal(w.clock()) {
		t.Errorf("the report is about %s in %s, %v", r.Secret, r.Environment, r.Window)
	}
	entries := w.entries()
	if first := entries[0]; first.Action != "rotate.planned" || first.Detail["steps"] != "11" {
		t.Errorf("the first entry: %+v", first)
	}
	if last := entries[len(entries)-1]; last.Action != "rotate.ended" || last.Result != "succeeded" || last.Why != "found in a CI log" || last.Subject != "production/"+name {
		t.Errorf("the last entry: %+v", last)
	}
	if len(entries) != 1+2*11+1 {
		t.Errorf("%d entries, want one before and one after each step, and two", len(entries))
	}
	w.holds()
	// The old value is known as retired from now on.
	roles := map[string]bool{}
	w.view(func(ctx context.Context, tx ledger.Tx) error {
		fs, err := tx.Fingerprints(ctx)
		for _, f := range fs {
			roles[f.Role] = true
		}
		return err
	})
	if diff := cmp.Diff(map[string]bool{"live": true, "retired": true}, roles); diff != "" {
		t.Errorf("the roles of the fingerprints (-want +got):\n%s", diff)
	}
}

// Who asked somewhere else is answered there; nobody is paged for a routine rotation.
func TestTheReplyGoesWhereItWasAsked(t *testing.T) {
	t.Parallel()
	for replyTo, reply := range map[string]bool{channel: false, "": false, "D0ALICE": true} {
		w := newWorld(t)
		w.request(func(r *ledger.Run) {
			r.Kind, r.Mode, r.Paged, r.ReplyTo = ledger.KindAudit, "", false, replyTo
		})
		if run := w.work(); run.State != ledger.Succeeded {
			t.Fatalf("the audit ended %s", run.State)
		}
		want := []string{"board", "files", "report"}
		if reply {
			want = []string{"board", "files", "reply", "report"}
		}
		if diff := cmp.Diff(want, w.told()); diff != "" {
			t.Errorf("asked in %q, what is told (-want +got):\n%s", replyTo, diff)
		}
		if diff := cmp.Diff([]string{"audit done"}, w.states()); diff != "" {
			t.Errorf("the steps (-want +got):\n%s", diff)
		}
		w.serves(true)
	}
}

// A routine run sleeps for its overlap, however often it is woken before, and then
// goes on.
func TestARoutineRunWaitsAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(routine)
	run := w.work()
	ends := w.clock().Add(overlap)
	if run.State != ledger.Waiting || !run.WakeAt.Equal(ends) || w.state("overlap") != "running" || w.state("retire/check") != "pending" {
		t.Fatalf("the run is %s until %v: %v", run.State, run.WakeAt, w.states())
	}
	if old := w.value(estatetest.API, name+"_OLD"); !old.Equal(w.estate.Values()[name]) {
		t.Error("the old value is not accepted during the overlap")
	}
	w.pass(overlap - time.Second)
	if run = w.work(); run.State != ledger.Waiting || !run.WakeAt.Equal(ends) {
		t.Errorf("woken early, the run is %s until %v, want %v", run.State, run.WakeAt, ends)
	}
	for _, e := range w.entries() {
		if e.Action == "run.waiting" && e.Detail["until"] != ends.Format(time.RFC3339) {
			t.Errorf("the log says until %s", e.Detail["until"])
		}
	}
	w.pass(time.Second)
	if run = w.work(); run.State != ledger.Succeeded || !run.WakeAt.IsZero() {
		t.Fatalf("after the overlap the run is %s: %s", run.State, run.Problem)
	}
	w.serves(false)
	if diff := cmp.Diff([]string{"board", "steps"}, w.told()); diff != "" {
		t.Errorf("what is told (-want +got):\n%s", diff)
	}
	if w.state("audit") != "no such step" {
		t.Error("nobody asked for the evidence")
	}
	w.holds()
}

// A run that waits and turns into an emergency ends its overlap and reads the evidence.
func TestAnEscalatedRunDoesNotWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(routine)
	w.work()
	steps := len(w.steps())
	run := w.claim()
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		run.Mode, run.Paged = string(commands.Compromised), true
		if err := tx.UpdateRun(ctx, &run); err != nil {
			return err
		}
		return tx.PutStep(ctx, ledger.Step{Run: id, Index: steps, Key: "audit", Kind: "audit", State: ledger.StepPending})
	})
	if run = w.work(); run.State != ledger.Succeeded {
		t.Fatalf("the run ended %s: %s", run.State, run.Problem)
	}
	w.serves(false)
	if w.state("audit") != "done" || !slices.Contains(w.told(), "page-resolve") {
		t.Errorf("steps %v, told %v", w.states(), w.told())
	}
}

// A wish that cuts a wait short is granted, and from then to its end the run never looks
// like one that rests: a terminal that follows it would leave it there.
func TestAGrantedWishEndsTheWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(routine)
	if run := w.work(); !run.Rests(w.clock()) {
		t.Fatalf("the run does not wait: %s until %s", run.State, run.WakeAt)
	}
	w.wishes(ledger.WishCompromised, "slack:U0ALICE (alice)")
	looks := 0
	w.look = func(_ ledger.Run, step ledger.Step, m journal.Moment) {
		looks++
		if run := w.run(); run.Rests(w.clock()) {
			t.Errorf("%s, %s: the run seems to rest, %s until %s", step.Key, m, run.State, run.WakeAt)
		}
	}
	if run := w.work(); run.State != ledger.Succeeded || run.Mode != string(commands.Compromised) || looks == 0 {
		t.Fatalf("the run ended %s, %s, after %d looks: %s", run.State, run.Mode, looks, run.Problem)
	}
}

// A process that is being stopped finishes the step at hand and gives the run up, and
// the next one goes on with the step after it.
func TestHandOverBetweenTwoSteps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(nil)
	var stopping <-chan struct{}
	var mu sync.Mutex
	start := func() *jobs.Engine {
		t.Helper()
		work := w.engine()
		e, err := jobs.New(t.Context(), jobs.Config{
			Store: w.store, Exclusive: true,
			Work: func(ctx context.Context, run ledger.Run) error {
				mu.Lock()
				stopping = jobs.Stopping(ctx)
				mu.Unlock()
				return work.Work(ctx, run)
			},
			Deliver: func(context.Context, string) error { return jobs.After(time.Hour) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return e
	}
	stop := func(e *jobs.Engine) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
	}
	wait := func(what string, ch <-chan struct{}) {
		t.Helper()
		select {
		case <-ch:
		case <-time.After(patience):
			t.Fatalf("waited in vain: %s", what)
		}
	}

	reached, stopped := make(chan struct{}), make(chan struct{})
	w.at("create acted", func() { // in the middle of a step
		close(reached)
		mu.Lock()
		ch := stopping
		mu.Unlock()
		<-ch
	})
	first := start()
	w.update(func(ctx context.Context, tx ledger.Tx) error { return w.queue.EnqueueRun(ctx, tx, id, time.Time{}) })
	wait("the first process reaches create", reached)
	go func() { defer close(stopped); stop(first) }()
	wait("the first process stops", stopped)
	if w.state("create") != "done" || w.state("publish/set/api") != "pending" {
		t.Errorf("handed over in the middle of a step: %v", w.states())
	}
	if run := w.run(); run.Holder != "" || run.State != ledger.Running {
		t.Errorf("handed over %s, held by %q", run.State, run.Holder)
	}

	done := make(chan struct{})
	w.at("audit settled", func() { close(done) })
	second := start()
	wait("the second process goes on to the end", done)
	stop(second)
	for _, s := range w.steps() {
		if s.Attempt > 1 {
			t.Errorf("%s was begun %d times", s.Key, s.Attempt)
		}
	}
	if w.run().State != ledger.Succeeded { // stopped between the audit and the end
		w.work()
	}
	w.serves(false)
}

// A fenced process stops at once and records nothing; its successor ends the run.
func TestAFencedProcessStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(nil)
	engine, run := w.engine(), w.claim()
	var heir ledger.Run
	w.at("switch/set/web acted", func() { heir = w.claim() })
	if err := engine.Work(t.Context(), run); !errors.Is(err, ledger.ErrFenced) {
		t.Fatalf("the fenced process answered %v", err)
	}
	if w.state("switch/set/web") != "running" {
		t.Errorf("the fenced process recorded a result: %v", w.states())
	}
	if err := engine.Work(t.Context(), heir); err != nil {
		t.Fatal(err)
	}
	if run := w.run(); run.State != ledger.Succeeded {
		t.Errorf("the run ended %s: %s", run.State, run.Problem)
	}
	w.serves(false)
	w.holds()
}

// Evidence that is missing is said in the report; it never keeps a run from its end.
func TestMissingEvidenceIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, log := range []string{"security", "django", "access"} {
		if err := os.Remove(w.estate.Log(log)); err != nil {
			t.Fatal(err)
		}
	}
	w.request(func(r *ledger.Run) { r.Kind, r.Mode, r.Paged = ledger.KindAudit, "", false })
	if run := w.work(); run.State != ledger.Succeeded {
		t.Fatalf("the audit ended %s", run.State)
	}
	r := w.report()
	if r.Verdict.Outcome != audit.CannotTell || len(r.Gaps) != 3 || len(r.Verdict.Missing) == 0 {
		t.Errorf("the verdict is %s with %d gaps: %s", r.Verdict.Outcome, len(r.Gaps), r.Verdict.Sentence)
	}
	if last := w.steps()[0]; last.Note != r.Verdict.Sentence {
		t.Errorf("the step says %q", last.Note)
	}
}

// A question that cannot be put any more is answered with what is known of it.
func TestAnAuditOfWhatIsGoneCannotTell(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(w *world){
		"the secret":      func(w *world) { w.cat.Secrets = nil },
		"the environment": func(w *world) { w.cat.Environments = nil },
	} {
		w := newWorld(t)
		w.request(func(r *ledger.Run) { r.Kind, r.Mode, r.Paged = ledger.KindAudit, "", false })
		lose(w)
		run := w.work()
		r := w.report()
		if run.State != ledger.Succeeded || r.Verdict.Outcome != audit.CannotTell || len(r.Verdict.Missing) != 1 {
			t.Errorf("without %s the run ended %s with %+v", name, run.State, r.Verdict)
		}
		if r.Secret != run.Secret || r.Environment != run.Environment || !r.Window.Since.Equal(run.Since) {
			t.Errorf("without %s the report does not say what it is about: %q in %q since %v", name, r.Secret, r.Environment, r.Window.Since)
		}
		if !slices.Contains(w.told(), "report") {
			t.Errorf("without %s the report is told to nobody: %v", name, w.told())
		}
	}
}

// A whole emergency survives a death at any of these moments and plans nothing twice.
func TestASuccessorPlansNothingAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(nil)
	for _, moment := range []string{"check intended", "create acted", "publish/set/api settled", "finish acted"} {
		w.crash(moment)
	}
	before := len(w.steps())
	if run := w.work(); run.State != ledger.Succeeded {
		t.Fatalf("the run ended %s: %s", run.State, run.Problem)
	}
	if len(w.steps()) != before || before != 11 {
		t.Errorf("%d steps, before %d", len(w.steps()), before)
	}
	planned := 0
	for _, e := range w.entries() {
		if strings.HasSuffix(e.Action, ".planned") {
			planned++
		}
	}
	if planned != 1 {
		t.Errorf("planned %d times", planned)
	}
	// A run that has ended is left alone.
	version := w.run().Version
	w.work()
	if w.run().Version != version {
		t.Error("a run that had ended was written to")
	}
	w.serves(false)
}
