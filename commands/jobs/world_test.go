package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/audit/ledger/postgres"
	"rekey/audit/ledger/sqlite"
	"rekey/commands/jobs"
)

// patience is how long a test waits for what must happen; it is not what is measured.
const patience = time.Minute

// database is a real database that any number of stores, here and in other processes,
// can open.
type database struct{ kind, addr string }

const (
	onPostgres = "postgres"
	onSQLite   = "sqlite"
)

// onBoth runs a test on a fresh database of each kind.
func onBoth(t *testing.T, test func(t *testing.T, d database)) {
	t.Helper()
	for _, kind := range []string{onSQLite, onPostgres} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, fresh(t, kind))
		})
	}
}

func fresh(t testing.TB, kind string) database {
	t.Helper()
	if kind == onPostgres {
		return database{kind, ledgertest.Postgres(t)}
	}
	return database{kind, filepath.Join(t.TempDir(), "rekey.db")}
}

func (d database) exclusive() bool { return d.kind == onSQLite }

// connect opens a store without a test around it (a child process has none).
func (d database) connect(ctx context.Context) (ledger.Store, error) {
	key, err := ledger.NewKey([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		return nil, err
	}
	if d.kind == onPostgres {
		return postgres.Open(ctx, postgres.Config{URL: d.addr, Key: key})
	}
	return sqlite.Open(ctx, sqlite.Config{Path: d.addr, Key: key})
}

func (d database) open(t testing.TB) ledger.Store {
	t.Helper()
	store, err := d.connect(t.Context())
	if err != nil {
		t.Fatalf("opening the %s store: %v", d.kind, err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return store
}

// start builds and starts an engine that stops with the test.
func start(t testing.TB, cfg jobs.Config) *jobs.Engine {
	t.Helper()
	e := build(t, cfg)
	if err := e.Start(t.Context()); err != nil {
		t.Fatalf("starting the engine: %v", err)
	}
	t.Cleanup(func() { stop(t, e) })
	return e
}

func build(t testing.TB, cfg jobs.Config) *jobs.Engine {
	t.Helper()
	if cfg.Work == nil {
		cfg.Work = func(_ context.Context, r ledger.Run) error { return fmt.Errorf("nobody expected run %s", r.ID) }
	}
	if cfg.Deliver == nil {
		cfg.Deliver = func(_ context.Context, id string) error { return fmt.Errorf("nobody expected delivery %s", id) }
	}
	if cfg.Lease == 0 {
		// Where nobody is meant to die, a machine that is busy for some seconds may not
		// make it look so.
		cfg.Lease, cfg.Beat = time.Minute, 500*time.Millisecond
	}
	if cfg.Log == nil && testing.Verbose() {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	e, err := jobs.New(t.Context(), cfg)
	if err != nil {
		t.Fatalf("building the engine: %v", err)
	}
	return e
}

func stop(t testing.TB, e *jobs.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		t.Errorf("stopping the engine: %v", err)
	}
}

// update runs fn in a transaction that must succeed.
func update(t testing.TB, store ledger.Store, fn func(ctx context.Context, tx ledger.Tx) error) {
	t.Helper()
	if err := store.Update(context.Background(), fn); err != nil {
		t.Fatalf("writing: %v", err)
	}
}

// queued is a run as a request makes it.
func queued(id string) ledger.Run {
	return ledger.Run{
		ID: id, Kind: ledger.KindRotate, Secret: "SECRET_" + id, Environment: "production",
		Actor: "cli:root", Incident: id, State: ledger.Queued, CreatedAt: time.Now().UTC(),
	}
}

// submit inserts runs and their wake-ups in one transaction.
func submit(t testing.TB, store ledger.Store, e *jobs.Engine, ids ...string) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ledger.Tx) error {
		for _, id := range ids {
			if err := tx.InsertRun(ctx, queued(id)); err != nil {
				return err
			}
			if err := e.EnqueueRun(ctx, tx, id, time.Time{}); err != nil {
				return err
			}
		}
		return nil
	})
}

func getRun(t testing.TB, store ledger.Store, id string) (r ledger.Run) {
	t.Helper()
	err := store.View(context.Background(), func(ctx context.Context, tx ledger.Tx) (err error) {
		r, err = tx.Run(ctx, id)
		return err
	})
	if err != nil {
		t.Fatalf("reading run %s: %v", id, err)
	}
	return r
}

func getDelivery(t testing.TB, store ledger.Store, id string) (d ledger.Delivery) {
	t.Helper()
	err := store.View(context.Background(), func(ctx context.Context, tx ledger.Tx) (err error) {
		d, err = tx.Delivery(ctx, id)
		return err
	})
	if err != nil {
		t.Fatalf("reading delivery %s: %v", id, err)
	}
	return d
}

// eventually waits until ok answers true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	eventuallyWithin(t, patience, what, ok)
}

func eventuallyWithin(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain: %s", limit, what)
		}
	}
}

// receive waits for a value from ch.
func receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %s in vain: %s", patience, what)
		panic("unreachable")
	}
}

// change writes r through edit and answers the run as committed.
func change(ctx context.Context, store ledger.Store, r ledger.Run, edit func(*ledger.Run), entry *ledger.Entry) (ledger.Run, error) {
	var after ledger.Run
	err := store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		after = r
		edit(&after)
		if err := tx.UpdateRun(ctx, &after); err != nil || entry == nil {
			return err
		}
		e := *entry
		return tx.Append(ctx, &e)
	})
	if err != nil {
		return r, err
	}
	return after, nil
}

// finish is Work that does nothing but succeed.
func finish(store ledger.Store) jobs.Work {
	return func(ctx context.Context, r ledger.Run) error {
		_, err := change(ctx, store, r, func(r *ledger.Run) { r.State = ledger.Succeeded }, nil)
		return err
	}
}

// procedure is Work in n checkpointed steps, each of which calls act; say is told of
// everything. It pays no heed to its ctx while acting: that is what fences are for.
func procedure(store ledger.Store, n int, act func(step int), say func(string, ...any)) jobs.Work {
	return func(ctx context.Context, r ledger.Run) error {
		say("claimed %s by %s fence %d", r.ID, jobs.ReplicaID(ctx), r.Fence)
		deaf := context.WithoutCancel(ctx)
		done, _ := strconv.Atoi(string(r.Memo))
		for i := done + 1; i <= n; i++ {
			var err error
			if r, err = change(deaf, store, r, func(r *ledger.Run) { r.State = ledger.Running }, nil); err != nil {
				say("refused intent %d: %s", i, class(err))
				return err
			}
			say("acting %d", i)
			act(i)
			entry := &ledger.Entry{Actor: "rekey", Action: "step.done", Subject: r.Secret, Run: r.ID, Result: strconv.Itoa(i)}
			if r, err = change(deaf, store, r, func(r *ledger.Run) { r.Memo = []byte(strconv.Itoa(i)) }, entry); err != nil {
				say("refused result %d: %s", i, class(err))
				return err
			}
			say("done %d", i)
			select {
			case <-jobs.Stopping(ctx):
				say("handed over after %d", i)
				return jobs.ErrHandOver
			default:
			}
		}
		if _, err := change(deaf, store, r, func(r *ledger.Run) { r.State = ledger.Succeeded }, nil); err != nil {
			say("refused end: %s", class(err))
			return err
		}
		say("finished %s", r.ID)
		return nil
	}
}

// mute is a say that nobody listens to.
func mute(string, ...any) {}

// taking is an act that takes a while.
func taking(d time.Duration) func(int) { return func(int) { time.Sleep(d) } }

func class(err error) string {
	switch {
	case errors.Is(err, ledger.ErrFenced):
		return "fenced"
	case errors.Is(err, ledger.ErrHeld):
		return "held"
	}
	return "error " + err.Error()
}

// wholeProcedure checks that every step of a run was recorded once, in order.
func wholeProcedure(t testing.TB, store ledger.Store, id string, n int) {
	t.Helper()
	eventually(t, "run "+id+" succeeds", func() bool { return getRun(t, store, id).State == ledger.Succeeded })
	var entries []ledger.Entry
	if err := store.View(context.Background(), func(ctx context.Context, tx ledger.Tx) (err error) {
		entries, err = tx.Entries(ctx, id)
		return err
	}); err != nil {
		t.Fatalf("reading the entries of %s: %v", id, err)
	}
	if len(entries) != n {
		t.Fatalf("%d steps of %s were recorded, want %d", len(entries), id, n)
	}
	for i, e := range entries {
		if e.Result != strconv.Itoa(i+1) {
			t.Errorf("entry %d records step %s", i+1, e.Result)
		}
	}
}
