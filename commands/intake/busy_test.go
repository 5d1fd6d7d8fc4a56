package intake_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
)

// waiting starts a routine run and lets it come to its overlap.
func (w *world) waiting(id string) ledger.Run {
	w.t.Helper()
	held := w.overlap(w.start(id, commands.Routine).ID)
	w.release(held)
	return w.run(held.ID)
}

// overlap brings a run to its overlap by its journal and leaves it held.
func (w *world) overlap(id string) ledger.Run {
	w.t.Helper()
	run := w.claim(id, "worker")
	j := w.journal(run)
	err := j.Commit(context.Background(), journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "run.waiting", Result: "waiting"},
		Steps: []ledger.Step{
			{Run: id, Index: 0, Key: "check", Kind: "check", State: ledger.StepDone},
			{Run: id, Index: 1, Key: "overlap", Kind: "overlap", State: ledger.StepRunning},
			{Run: id, Index: 2, Key: "finish", Kind: "finish", State: ledger.StepPending},
		},
		Amend: func(r *ledger.Run) { r.State, r.WakeAt = ledger.Waiting, noon.Add(24*time.Hour) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return j.Run()
}

func (w *world) journal(run ledger.Run) *journal.Journal {
	w.t.Helper()
	j, err := journal.Open(context.Background(), journal.Config{Store: w.store, Queue: w.queue, Now: w.clock}, run)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

func TestABusySecretIsNotRotatedTwice(t *testing.T) {
	t.Parallel()
	for _, mode := range []commands.Mode{commands.Routine, commands.Compromised} {
		w := newWorld(t)
		first := w.start("e1", commands.Compromised)
		before := w.jobs()
		req := ask("e2", alice, commands.Rotate, "REVALIDATE_SECRET")
		req.Mode = mode
		a := w.take(req)
		if a.Outcome != commands.Unusable || a.Run != first.ID || !strings.Contains(a.Text, first.ID) || !strings.Contains(a.Text, "slack:U0ALICE (alice)") {
			t.Errorf("answered %s (run %s): %s", a.Outcome, a.Run, a.Text)
		}
		if diff := cmp.Diff(before, w.jobs()); diff != "" {
			t.Errorf("something was started (-want +got):\n%s", diff)
		}
		e := w.entries()
		if last := e[len(e)-1]; len(e) != 2 || last.Action != "rotate.requested" || last.Result != "busy" || last.Run != first.ID || last.Why != req.Reason {
			t.Errorf("the log says %+v", last)
		}
		// The secret is free elsewhere.
		req.ID, req.Environment = "e3", "staging"
		if a := w.take(req); a.Outcome != commands.Taken {
			t.Errorf("in staging: %s %s", a.Outcome, a.Text)
		}
	}
}

// A routine request does not hurry a routine run that waits.
func TestARoutineRequestLeavesAWaitingRunAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.waiting("e1")
	req := ask("e2", alice, commands.Rotate, "REVALIDATE_SECRET")
	req.Mode = commands.Routine
	if a := w.take(req); a.Outcome != commands.Unusable {
		t.Errorf("answered %s: %s", a.Outcome, a.Text)
	}
	if diff := cmp.Diff(run, w.run(run.ID)); diff != "" {
		t.Errorf("the run was changed (-want +got):\n%s", diff)
	}
}

// A secret that turns out to be compromised while the old value is still valid: the
// overlap ends now, the evidence is read, and on-call is paged.
func TestAWaitingRunBecomesAnEmergency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.waiting("e1")
	w.pass(time.Hour)
	woken := count(w.jobs(), "run "+run.ID)
	a := w.take(ask("e2", alice, commands.Rotate, "REVALIDATE_SECRET"))
	if a.Outcome != commands.Taken || a.Run != run.ID || !strings.Contains(a.Text, "overlap of run "+run.ID+" ends now") {
		t.Fatalf("answered %s (run %s): %s", a.Outcome, a.Run, a.Text)
	}
	got := w.run(run.ID)
	if got.Mode != "compromised" || !got.Paged || !got.WakeAt.Equal(noon.Add(time.Hour)) || got.Reason != "found in a CI log" || got.State != ledger.Waiting {
		t.Errorf("the run is now %+v", got)
	}
	if got.Holder != "" || got.Version <= run.Version {
		t.Errorf("held by %q at version %d, before %d", got.Holder, got.Version, run.Version)
	}
	steps := w.steps(run.ID)
	want := ledger.Step{Run: run.ID, Index: 3, Key: "audit", Kind: "audit", Title: "Read the evidence of misuse", State: ledger.StepPending}
	if diff := cmp.Diff(want, steps[len(steps)-1]); len(steps) != 4 || diff != "" {
		t.Errorf("%d steps, the last (-want +got):\n%s", len(steps), diff)
	}
	if diff := cmp.Diff([]string{"board", "page-trigger"}, w.deliveries(run.ID)); diff != "" {
		t.Errorf("what is told (-want +got):\n%s", diff)
	}
	if n := count(w.jobs(), "run "+run.ID); n != woken+1 {
		t.Errorf("woken %d times more, want once", n-woken)
	}
	e := w.entries()
	if last := e[len(e)-1]; last.Result != "escalated" || last.Action != "rotate.requested" || last.Detail["mode"] != "compromised" || last.Actor != "slack:U0ALICE (alice)" {
		t.Errorf("the log says %+v", last)
	}
	// The second to say so changes nothing more.
	if a := w.take(ask("e3", alice, commands.Rotate, "REVALIDATE_SECRET")); a.Outcome != commands.Unusable || len(w.steps(run.ID)) != 4 {
		t.Errorf("the second time: %s %s, %d steps", a.Outcome, a.Text, len(w.steps(run.ID)))
	}
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// A process that has just looked at the waiting run writes back what it saw. What was
// promised to the person must not be lost to that.
func TestAnEscalationIsNotOverwrittenByTheRunsHolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.overlap(w.start("e1", commands.Routine).ID)
	j := w.journal(held)

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if a, err := w.desk.Take(ctx, ask("e2", alice, commands.Rotate, "REVALIDATE_SECRET")); !errors.Is(err, ledger.ErrNotStarted) {
		t.Errorf("while the run is held: %v (answer %q), want that nothing was recorded", err, a.Text)
	}
	if got := w.run(held.ID); got.Mode != "routine" || len(w.steps(held.ID)) != 3 {
		t.Errorf("something was recorded while the run was held: %s, %d steps", got.Mode, len(w.steps(held.ID)))
	}

	// Its holder goes back to sleep; a person who asks meanwhile is served after that.
	answered := make(chan error, 1)
	go func() {
		_, err := w.desk.Take(context.Background(), ask("e3", alice, commands.Rotate, "REVALIDATE_SECRET"))
		answered <- err
	}()
	err := j.Commit(t.Context(), journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "run.waiting", Result: "waiting"},
		Amend: func(r *ledger.Run) { r.WakeAt = noon.Add(24 * time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.release(j.Run())
	if err := <-answered; err != nil {
		t.Fatalf("after the run was let go: %v", err)
	}
	if got := w.run(held.ID); got.Mode != "compromised" || !got.Paged || got.WakeAt.After(w.clock()) {
		t.Errorf("the run is %s, paged %v, wakes at %v", got.Mode, got.Paged, got.WakeAt)
	}
}

// A holder that died does not stand in the way, and cannot write when it turns out to
// have been paused.
func TestAnEscalationPassesADeadHolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	held := w.overlap(w.start("e1", commands.Routine).ID)
	j := w.journal(held)
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		return tx.Beat(ctx, ledger.Replica{ID: held.Holder}, -time.Second)
	})
	if a := w.take(ask("e2", alice, commands.Rotate, "REVALIDATE_SECRET")); a.Outcome != commands.Taken {
		t.Fatalf("answered %s: %s", a.Outcome, a.Text)
	}
	err := j.Commit(t.Context(), journal.Change{Entry: ledger.Entry{Action: "run.waiting"}})
	if !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("the paused holder wrote: %v", err)
	}
	if got := w.run(held.ID); got.Mode != "compromised" || got.Holder != "" {
		t.Errorf("the run is %s, held by %q", got.Mode, got.Holder)
	}
}

// A run that went on in the meantime is not taken for one that waits.
func TestARunThatGoesOnIsBusy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.waiting("e1")
	j := w.journal(w.claim(run.ID, "worker"))
	err := j.Commit(t.Context(), journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "step.done"},
		Amend: func(r *ledger.Run) { r.State = ledger.Running },
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := w.take(ask("e2", alice, commands.Rotate, "REVALIDATE_SECRET")); a.Outcome != commands.Unusable || len(w.steps(run.ID)) != 3 {
		t.Errorf("answered %s: %s", a.Outcome, a.Text)
	}
}

// Many people who find the leak at the same moment end the overlap once.
func TestManyEscalationsAtOnceAreOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.waiting("e1")
	outcomes := make(chan commands.Outcome, 32)
	for i := range cap(outcomes) {
		go func() {
			a, err := w.desk.Take(context.Background(), ask(fmt.Sprint("person ", i), alice, commands.Rotate, "REVALIDATE_SECRET"))
			if err != nil {
				t.Errorf("taking: %v", err)
			}
			outcomes <- a.Outcome
		}()
	}
	var got []string
	for range cap(outcomes) {
		got = append(got, string(<-outcomes))
	}
	if n := count(got, string(commands.Taken)); n != 1 || len(w.steps(run.ID)) != 4 {
		t.Errorf("%d were taken (%v), and the run has %d steps, want 1 and 4", n, got, len(w.steps(run.ID)))
	}
}
