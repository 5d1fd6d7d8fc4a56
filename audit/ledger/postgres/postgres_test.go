package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/audit/ledger/postgres"
)

// open opens the database at url, a new one when url is "".
func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	if url == "" {
		url = ledgertest.Postgres(t)
	}
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url, Key: ledgertest.Key(t, 0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// schemas answers a function that makes empty schemas in one new database and
// answers URLs for them; that is much quicker than as many databases.
func schemas(t *testing.T) func(t *testing.T) string {
	t.Helper()
	database := ledgertest.Postgres(t)
	return func(t *testing.T) string {
		t.Helper()
		name := "s" + strings.ToLower(rand.Text())
		exec(t, connect(t, database), "CREATE SCHEMA "+name)
		u, err := url.Parse(database)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("search_path", name)
		u.RawQuery = q.Encode()
		return u.String()
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	schema := schemas(t)
	ledgertest.Run(t, func(t *testing.T) ledger.Store { return open(t, schema(t)) })
}

// blocked opens a store whose head another session can hold.
func blocked(t *testing.T, url string) (ledger.Store, func(t *testing.T) func()) {
	t.Helper()
	return open(t, url), func(t *testing.T) func() {
		t.Helper()
		conn := connect(t, url)
		exec(t, conn, "BEGIN; SELECT * FROM rekey_head FOR UPDATE")
		return func() { exec(t, conn, "ROLLBACK") }
	}
}

func TestBlocked(t *testing.T) {
	t.Parallel()
	schema := schemas(t)
	ledgertest.RunBlocked(t, func(t *testing.T) (ledger.Store, func(*testing.T) func()) { return blocked(t, schema(t)) })
}

// TestLeaseWhileBlocked: somebody else holds the head, appends queue up, and yet
// this replica's lease is renewed.
func TestLeaseWhileBlocked(t *testing.T) {
	t.Parallel()
	s, block := blocked(t, ledgertest.Postgres(t))
	release := block(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
				return tx.Append(ctx, &ledger.Entry{Action: "patient"})
			}); err != nil {
				t.Errorf("Update: %v", err)
			}
		})
	}
	for range 3 {
		if err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
			return tx.Beat(ctx, ledger.Replica{ID: "a"}, time.Hour)
		}); err != nil {
			t.Fatalf("Beat: %v", err)
		}
	}
	release()
	wg.Wait()
	verify(t, s, 20)
}

// TestRowLock: a call that needs a row which somebody else has locked waits without
// holding up the others.
func TestRowLock(t *testing.T) {
	t.Parallel()
	url := ledgertest.Postgres(t)
	s, conn := open(t, url), connect(t, url)
	if err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		return tx.InsertRun(ctx, ledger.Run{ID: "r"})
	}); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, "BEGIN; SELECT * FROM rekey_runs FOR UPDATE")
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
			_, err := tx.ClaimRun(ctx, "r", "a")
			return err
		}); err != nil {
			t.Errorf("the call that had to wait: %v", err)
		}
	})
	for range 5 {
		if err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
			return tx.Append(ctx, &ledger.Entry{})
		}); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, conn, "ROLLBACK")
	wg.Wait()
	verify(t, s, 5)
}

// TestReplicas: several stores, as in several processes, start at once on an empty
// database and write one chain.
func TestReplicas(t *testing.T) {
	t.Parallel()
	url := ledgertest.Postgres(t)
	stores := make([]*postgres.Store, 4)
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), postgres.Config{URL: url, Key: ledgertest.Key(t, 0)})
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			stores[i] = s
			t.Cleanup(func() { _ = s.Close() })
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i := range 32 {
		wg.Go(func() {
			for range 10 {
				if err := stores[i%len(stores)].Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
					return tx.Append(ctx, &ledger.Entry{Action: "act"})
				}); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	verify(t, stores[0], 320)
}

// TestDeadlock: two replicas lock the same two rows in opposite order, again and
// again; both get through.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	url := ledgertest.Postgres(t)
	stores := []*postgres.Store{open(t, url), open(t, url)}
	if err := stores[0].Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		return errors.Join(tx.InsertRun(ctx, ledger.Run{ID: "0"}), tx.InsertRun(ctx, ledger.Run{ID: "1"}))
	}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i, s := range stores {
		first, second := strconv.Itoa(i), strconv.Itoa(1-i)
		wg.Go(func() {
			for range 3 {
				if err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
					return errors.Join(
						tx.UpdateRun(ctx, &ledger.Run{ID: first}), pause(ctx, tx), tx.UpdateRun(ctx, &ledger.Run{ID: second}),
						tx.Append(ctx, &ledger.Entry{Action: "both"}))
				}); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	verify(t, stores[0], 6)
}

// TestLostConnection: the server ends the writer's session in the middle of a
// transaction. Nothing of it is kept, and it is run again on a new connection.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	url := ledgertest.Postgres(t)
	s, conn := open(t, url), connect(t, url)
	tries := 0
	err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		if tries++; tries == 1 {
			var pid int
			if err := tx.(*postgres.Tx).Pgx().QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
				return err
			}
			exec(t, conn, "SELECT pg_terminate_backend("+strconv.Itoa(pid)+", 10000)")
		}
		return errors.Join(tx.InsertRequest(ctx, ledger.Request{ID: "q"}), tx.Append(ctx, &ledger.Entry{Action: "once"}))
	})
	if err != nil || tries < 2 {
		t.Errorf("after %d tries: %v", tries, err)
	}
	verify(t, s, 1)
}

// TestPaused: a process stops (as by SIGSTOP) in the middle of a transaction that
// holds the head. The server ends its session, so that others can go on; when it
// wakes up, what it was about to commit is not there.
func TestPaused(t *testing.T) {
	t.Parallel()
	url := ledgertest.Postgres(t)
	paused, other := open(t, url), open(t, url)
	holds, wake := make(chan struct{}), make(chan struct{})
	tries := 0
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := paused.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
			if tries++; tries == 1 {
				if _, err := tx.(*postgres.Tx).Pgx().Exec(ctx, "SELECT * FROM rekey_head FOR UPDATE"); err != nil {
					return err
				}
				close(holds)
				<-wake
			}
			return tx.Append(ctx, &ledger.Entry{Action: "woken"})
		}); err != nil {
			t.Errorf("the paused one: %v", err)
		}
	})
	<-holds
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := other.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		return tx.Append(ctx, &ledger.Entry{Action: "meanwhile"})
	}); err != nil {
		t.Errorf("the other one: %v", err)
	}
	close(wake)
	wg.Wait()
	if tries != 2 {
		t.Errorf("the paused transaction ran %d times, want 2", tries)
	}
	verify(t, other, 2)
}

// TestPausedReader: a process stops while it reads. The server ends its session, or
// nobody could migrate the database until it goes on.
func TestPausedReader(t *testing.T) {
	t.Parallel()
	url := ledgertest.Postgres(t)
	s, other := open(t, url), connect(t, url)
	reads, wake, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.View(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
			if _, err := tx.Entries(ctx, "some run"); err != nil {
				return err
			}
			close(reads)
			<-wake // as if stopped
			_, err := tx.Entries(ctx, "some run")
			return err
		})
	}()
	<-reads
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exec(t, other, "BEGIN")
	if _, err := other.Exec(ctx, "LOCK TABLE rekey_ledger IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Errorf("while a reader is paused: %v", err)
	}
	close(wake)
	if err := <-ended; err == nil {
		t.Error("the paused reader went on reading in a session that was to be ended")
	}
}

// TestExportSlowly: whoever takes the entries slowly gets all of them, be it that the
// server still has some to send or that they are all under way.
func TestExportSlowly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entries int
		why     string
	}{"few": {10, "short"}, "more than the connection holds": {20_000, strings.Repeat("long ", 400)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, "")
			if err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
				for range c.entries {
					if err := tx.Append(ctx, &ledger.Entry{Action: "written", Why: c.why}); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			got := 0
			if err := s.Export(t.Context(), 1, func(ledger.Entry) error {
				if got++; got == 1 {
					time.Sleep(8 * time.Second) // longer than a session may be idle
				}
				return nil
			}); err != nil || got != c.entries {
				t.Errorf("%d of %d entries, error %v", got, c.entries, err)
			}
		})
	}
}

// slowCommit makes the first COMMIT that appended an entry take that many seconds.
func slowCommit(t *testing.T, conn *pgx.Conn, seconds string) {
	t.Helper()
	exec(t, conn, `CREATE SEQUENCE commits; CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN IF nextval('commits') = 1 THEN PERFORM pg_sleep(`+seconds+`); END IF; RETURN NULL; END $$;
		CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON rekey_ledger DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION slow()`)
}

// TestUnknownOutcome: the deadline passes while COMMIT is under way.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	url := ledgertest.Postgres(t)
	s, conn := open(t, url), connect(t, url)
	slowCommit(t, conn, "1.5")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err := s.Update(ctx, func(ctx context.Context, tx ledger.Tx) error { return tx.Append(ctx, &ledger.Entry{}) })
	if !errors.Is(err, ledger.ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Update: %v", err)
	}
	if err := s.Close(); err != nil { // waits for the commit under way
		t.Errorf("Close: %v", err)
	}
	verify(t, open(t, url), 1)
}

// TestLostCommit: the connection is lost while COMMIT is under way. The store finds
// out what became of it: here the session ended first, so it was rolled back and is
// run again.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	url := ledgertest.Postgres(t)
	s, conn := open(t, url), connect(t, url)
	slowCommit(t, conn, "30")
	done := make(chan error)
	go func() {
		done <- s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
			return tx.Append(ctx, &ledger.Entry{Action: "once"})
		})
	}()
	for killed := false; !killed; {
		err := conn.QueryRow(t.Context(), `SELECT coalesce(bool_or(pg_terminate_backend(pid, 10000)), false)
			FROM pg_stat_activity WHERE datname = current_database() AND query = 'commit' AND state = 'active'`).Scan(&killed)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Errorf("Update: %v", err)
	}
	verify(t, s, 1)
}

// TestAbortedByCaller: a function swallows an error of a statement of its own, which
// leaves the transaction unusable on the server; it alone gets an error.
func TestAbortedByCaller(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	e := ledger.Entry{Action: "never"}
	err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		_, _ = tx.(*postgres.Tx).Pgx().Exec(ctx, "SELECT 1/0")
		return tx.Append(ctx, &e)
	})
	if err == nil || e.Seq != 0 {
		t.Errorf("Update: %v, entry number %d", err, e.Seq)
	}
	verify(t, s, 0)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), postgres.Config{URL: "postgres://u:hunter2@h:port/x", Key: ledgertest.Key(t, 0)})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error("a malformed URL is taken, or its password is in the error")
	}
	_, err = postgres.Open(t.Context(), postgres.Config{URL: "postgres://u:hunter2@/x?host=/nowhere", Key: ledgertest.Key(t, 0)})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error("an unreachable server is taken, or its password is in the error")
	}
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: "postgres:///x"}); err == nil {
		t.Error("no key is taken")
	}
}

func verify(t *testing.T, s ledger.Store, n int64) {
	t.Helper()
	v, err := s.Verify(t.Context())
	if err != nil || !v.OK || v.Entries != n {
		t.Errorf("Verify: %+v, %v; want %d good entries", v, err, n)
	}
}

// pause gives the other replica time to take its first lock.
func pause(ctx context.Context, tx ledger.Tx) error {
	_, err := tx.(*postgres.Tx).Pgx().Exec(ctx, "SELECT pg_sleep(0.1)")
	return err
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t testing.TB, conn *pgx.Conn, query string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}
