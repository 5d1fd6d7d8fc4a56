package jobs_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/jobs"
)

func TestARunIsWorkedToItsEnd(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		e := start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Work: procedure(store, 3, taking(0), mute)})
		submit(t, store, e, "r-1")
		wholeProcedure(t, store, "r-1", 3)
		eventually(t, "the run is released", func() bool { return getRun(t, store, "r-1").Holder == "" })
	})
}

func TestNothingIsEnqueuedByATransactionThatFails(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		e := build(t, jobs.Config{Store: store})
		boom := errors.New("boom")
		err := store.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
			if err := tx.InsertRun(ctx, queued("r-1")); err != nil {
				return err
			}
			if err := e.EnqueueRun(ctx, tx, "r-1", time.Time{}); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("got %v, want %v", err, boom)
		}
		if got := texts(t, store, `SELECT id FROM river_job`); len(got) != 0 {
			t.Errorf("%d wake-ups outlived their transaction", len(got))
		}
	})
}

func TestAfterComesBackOnTime(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		const wait = 700 * time.Millisecond
		calls := make(chan time.Time, 10)
		e := start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Work: func(ctx context.Context, r ledger.Run) error {
			calls <- time.Now()
			if r.Fence == 1 {
				return jobs.After(wait)
			}
			return finish(store)(ctx, r)
		}})
		submit(t, store, e, "r-1")
		first := receive(t, "the first call", calls)
		second := receive(t, "the second call", calls)
		if got := second.Sub(first); got < wait-time.Millisecond {
			t.Errorf("came back after %s, want at least %s", got, wait)
		} else {
			t.Logf("%s late", (got - wait).Round(time.Millisecond))
		}
	})
}

// The overlap of a routine rotation: the run waits, the process restarts, the time comes.
func TestAWaitingRunWakesInAnotherProcess(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		wakeAt := time.Now().Add(1500 * time.Millisecond).UTC().Truncate(time.Microsecond)
		slept := make(chan struct{}, 1)
		work := func(ctx context.Context, r ledger.Run) error {
			if r.State == ledger.Waiting && !time.Now().Before(r.WakeAt) {
				return finish(store)(ctx, r)
			}
			_, err := change(ctx, store, r, func(r *ledger.Run) { r.State, r.WakeAt = ledger.Waiting, wakeAt }, nil)
			slept <- struct{}{}
			return err
		}
		first := start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Work: work})
		submit(t, store, first, "r-1")
		receive(t, "the run goes to sleep", slept)
		stop(t, first)
		if r := getRun(t, store, "r-1"); r.State != ledger.Waiting || r.Holder != "" {
			t.Fatalf("the run is %s, held by %q; want waiting and free", r.State, r.Holder)
		}
		start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Work: work})
		eventually(t, "the run succeeds", func() bool { return getRun(t, store, "r-1").State == ledger.Succeeded })
	})
}

func TestFailuresAndPanicsAreTriedAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		const value = "correct-horse-battery-staple"
		var told atomic.Int32
		e := start(t, jobs.Config{
			Store: store, Exclusive: d.exclusive(),
			Work: func(ctx context.Context, r ledger.Run) error {
				switch r.Fence {
				case 1:
					return fmt.Errorf("answered 500: %s", value)
				case 2:
					panic(value)
				}
				return finish(store)(ctx, r)
			},
			Deliver: func(ctx context.Context, id string) error {
				switch told.Load() {
				case 0:
					told.Add(1)
					panic(errors.New(value))
				case 1:
					told.Add(1)
					return errors.New(value)
				}
				return send(ctx, store, id)
			},
			Panicked: func(v any) {
				if !strings.Contains(fmt.Sprint(v), value) {
					t.Errorf("the hook was told of a panic other than ours")
				}
				panic(v) // a hook that fails must not do harm either
			},
		})
		submit(t, store, e, "r-1")
		order(t, store, e, "r-1/board", 1)
		eventually(t, "the run succeeds", func() bool { return getRun(t, store, "r-1").State == ledger.Succeeded })
		eventually(t, "the delivery is sent", func() bool { return getDelivery(t, store, "r-1/board").Sent == 1 })
		eventually(t, "everything has been settled", func() bool {
			return len(texts(t, store, `SELECT id FROM river_job WHERE state <> 'completed'`)) == 0
		})
		onlyIDs(t, store)
		for _, row := range everyText(t, store) {
			if strings.Contains(row, value) {
				t.Errorf("the value is in the job engine's tables")
			}
		}
	})
}

// onlyIDs checks that River keeps nothing of a job but its id.
func onlyIDs(t *testing.T, store ledger.Store) {
	t.Helper()
	args := regexp.MustCompile(`^(map\[id:[\w/-]+\]|\{"id":\s*"[\w/-]+"\})$`)
	rows := texts(t, store, castJSON(store, `SELECT %s FROM river_job`, "args"))
	if len(rows) == 0 {
		t.Fatal("there are no jobs to look at")
	}
	for _, got := range rows {
		if !args.MatchString(got) {
			t.Errorf("a job's arguments are %s; want an id", got)
		}
	}
	for _, got := range texts(t, store, castJSON(store, `SELECT %s FROM river_job WHERE errors IS NOT NULL`, "errors")) {
		t.Errorf("a job has errors: %s", got)
	}
	// On SQLite River marks what it inserts with a random number.
	metadata := regexp.MustCompile(`^(map\[\]|\{\}|\{"river:unique_nonce":"[0-9a-f]+"\})$`)
	for _, got := range texts(t, store, castJSON(store, `SELECT %s FROM river_job`, "metadata")) {
		if !metadata.MatchString(got) {
			t.Errorf("a job's metadata is %s", got)
		}
	}
}

// castJSON makes a JSON column readable: SQLite keeps a binary form.
func castJSON(store ledger.Store, query, column string) string {
	if _, ok := store.(interface{ DB() *sql.DB }); ok {
		column = "json(" + column + ")"
	}
	return fmt.Sprintf(query, column)
}

// everyText answers every column of River's job table.
func everyText(t *testing.T, store ledger.Store) []string {
	t.Helper()
	return texts(t, store, `SELECT * FROM river_job`)
}

func TestAnEngineRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	store := fresh(t, onSQLite).open(t)
	work, deliver := finish(store), func(context.Context, string) error { return nil }
	for name, cfg := range map[string]jobs.Config{
		"no store":            {Work: work, Deliver: deliver},
		"no work":             {Store: store, Deliver: deliver},
		"no deliver":          {Store: store, Work: work},
		"a beat too slow":     {Store: store, Work: work, Deliver: deliver, Lease: time.Second, Beat: time.Second},
		"an unknown database": {Store: struct{ ledger.Store }{store}, Work: work, Deliver: deliver},
	} {
		if _, err := jobs.New(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A wake-up that meets the run in good hands may tell of something new.
func TestAWakeUpDuringWorkIsNotLost(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		began, goOn := make(chan struct{}, 1), make(chan struct{})
		e := start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Work: func(ctx context.Context, r ledger.Run) error {
			if r.Fence > 1 {
				return finish(store)(ctx, r)
			}
			began <- struct{}{}
			<-goOn
			_, err := change(ctx, store, r, func(r *ledger.Run) { r.State, r.WakeAt = ledger.Waiting, time.Now().Add(time.Hour) }, nil)
			return err
		}})
		submit(t, store, e, "r-1")
		receive(t, "the work begins", began)
		update(t, store, func(ctx context.Context, tx ledger.Tx) error { return e.EnqueueRun(ctx, tx, "r-1", time.Time{}) })
		eventually(t, "the second wake-up has rung", func() bool {
			return len(texts(t, store, `SELECT id FROM river_job WHERE state = 'completed'`)) == 1
		})
		close(goOn)
		eventually(t, "the run succeeds", func() bool { return getRun(t, store, "r-1").State == ledger.Succeeded })
	})
}

func TestWorkWithoutAWakeUpIsFound(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		start(t, jobs.Config{
			Store: store, Exclusive: d.exclusive(), Work: finish(store),
			Deliver: func(ctx context.Context, id string) error { return send(ctx, store, id) },
		})
		update(t, store, func(ctx context.Context, tx ledger.Tx) error {
			if _, err := tx.PutDelivery(ctx, ledger.Delivery{ID: "r-1/board", Run: "r-1", Kind: "board", Wanted: 1, CreatedAt: time.Now().UTC()}); err != nil {
				return err
			}
			return tx.InsertRun(ctx, queued("r-1"))
		})
		eventually(t, "the run succeeds", func() bool { return getRun(t, store, "r-1").State == ledger.Succeeded })
		eventually(t, "the delivery is sent", func() bool { return getDelivery(t, store, "r-1/board").Sent == 1 })
	})
}

func TestSeveralReplicasMayPrepareADatabaseAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				if _, err := jobs.InsertOnly(t.Context(), jobs.Config{Store: store}); err != nil {
					t.Errorf("engine %d: %v", i, err)
				}
			})
		}
		wg.Wait()
	})
}
