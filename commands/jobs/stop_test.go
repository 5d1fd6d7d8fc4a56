package jobs_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/jobs"
)

func TestStoppingHandsOver(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		acting := make(chan struct{}, 100)
		say := func(format string, _ ...any) {
			if strings.HasPrefix(format, "acting") {
				acting <- struct{}{}
			}
		}
		first := start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Work: procedure(store, 8, taking(100*time.Millisecond), say)})
		submit(t, store, first, "r-1")
		receive(t, "the work begins", acting)
		stop(t, first)
		r := getRun(t, store, "r-1")
		if r.State.Final() || r.Holder != "" || len(r.Memo) == 0 {
			t.Fatalf("after the stop the run is %s, held by %q, after step %q; want it free at the end of a step", r.State, r.Holder, r.Memo)
		}
		var replicas []ledger.Replica
		if err := store.View(t.Context(), func(ctx context.Context, tx ledger.Tx) (err error) {
			replicas, err = tx.Replicas(ctx)
			return err
		}); err != nil || len(replicas) != 0 {
			t.Errorf("%d replicas are left (%v), want none", len(replicas), err)
		}
		start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Work: procedure(store, 8, taking(0), mute)})
		wholeProcedure(t, store, "r-1", 8)
	})
}

func TestAnEngineThatOnlyEnqueuesCannotBeStarted(t *testing.T) {
	t.Parallel()
	d := fresh(t, onSQLite)
	clerk, err := jobs.InsertOnly(t.Context(), jobs.Config{Store: d.open(t)})
	if err != nil {
		t.Fatalf("building the clerk: %v", err)
	}
	if err := clerk.Start(t.Context()); err == nil {
		t.Error("it started")
	}
	if err := clerk.Stop(t.Context()); err != nil {
		t.Errorf("stopping what never started: %v", err)
	}
}

func TestWorkThatDoesNotStopIsCancelledAndHandedOver(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		began := make(chan struct{}, 1)
		first := start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Work: func(ctx context.Context, _ ledger.Run) error {
			began <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}})
		submit(t, store, first, "r-1")
		receive(t, "the work begins", began)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := first.Stop(ctx); err != nil {
			t.Fatalf("stopping: %v", err)
		}
		if r := getRun(t, store, "r-1"); r.Holder != "" {
			t.Errorf("after the stop the run is held by %q, want it free", r.Holder)
		}
		start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Work: finish(store)})
		eventually(t, "the run succeeds", func() bool { return getRun(t, store, "r-1").State == ledger.Succeeded })
	})
}
