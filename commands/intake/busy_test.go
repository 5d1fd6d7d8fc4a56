package intake_test

import (
	"context"
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

// A secret that turns out to be compromised while a routine run is under way: the wish
// is with the run, whoever holds it, and a run that sleeps is woken.
func TestARoutineRunBecomesAnEmergency(t *testing.T) {
	t.Parallel()
	for what, prepare := range map[string]func(w *world) ledger.Run{
		"waiting": func(w *world) ledger.Run { return w.waiting("e1") },
		"held":    func(w *world) ledger.Run { return w.claim(w.start("e1", commands.Routine).ID, "worker") },
		"queued":  func(w *world) ledger.Run { return w.start("e1", commands.Routine) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			run := prepare(w)
			woken := count(w.jobs(), "run "+run.ID)
			a := w.take(ask("e2", alice, commands.Rotate, "REVALIDATE_SECRET"))
			if a.Outcome != commands.Taken || a.Run != run.ID || !strings.Contains(a.Text, run.ID+" goes on as a compromised one") {
				t.Fatalf("answered %s (run %s): %s", a.Outcome, a.Run, a.Text)
			}
			got := w.run(run.ID)
			if got.Asked != ledger.WishCompromised {
				t.Errorf("the run was asked %q", got.Asked)
			}
			got.Asked = ""
			if diff := cmp.Diff(run, got); diff != "" {
				t.Errorf("more than the wish was changed (-want +got):\n%s", diff)
			}
			if n := count(w.jobs(), "run "+run.ID); n != woken+1 {
				t.Errorf("woken %d times more, want once", n-woken)
			}
			e := w.entries()
			if last := e[len(e)-1]; last.Result != "escalated" || last.Action != "rotate.requested" || last.Why != "found in a CI log" || last.Actor != "slack:U0ALICE (alice)" {
				t.Errorf("the log says %+v", last)
			}
			// The second to say so changes nothing more.
			if a := w.take(ask("e3", alice, commands.Rotate, "REVALIDATE_SECRET")); a.Outcome != commands.Unusable || a.Run != run.ID {
				t.Errorf("the second time: %s %s", a.Outcome, a.Text)
			}
		})
	}
}

// A run on its way back is not hurried on.
func TestARunThatGoesBackIsBusy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.waiting("e1")
	j := w.journal(w.claim(run.ID, "worker"))
	err := j.Commit(t.Context(), journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "step.failed"},
		Amend: func(r *ledger.Run) { r.State = ledger.RollingBack },
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := w.take(ask("e2", alice, commands.Rotate, "REVALIDATE_SECRET")); a.Outcome != commands.Unusable || w.run(run.ID).Asked != "" {
		t.Errorf("answered %s: %s", a.Outcome, a.Text)
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
	if n := count(got, string(commands.Taken)); n != 1 || w.run(run.ID).Asked != ledger.WishCompromised {
		t.Errorf("%d were taken (%v), want 1", n, got)
	}
}
