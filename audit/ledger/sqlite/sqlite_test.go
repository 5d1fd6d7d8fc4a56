package sqlite_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/audit/ledger/sqlite"

	modernc "modernc.org/sqlite"
)

// open opens the file at path, a new one when path is "".
func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "ledger.db")
	}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Key: ledgertest.Key(t, 0)})
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

func TestContract(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, func(t *testing.T) ledger.Store { return open(t, "") })
}

// blocked opens a store whose file another process can lock.
func blocked(t *testing.T) (ledger.Store, func(t *testing.T) func()) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	return open(t, path), func(t *testing.T) func() {
		t.Helper()
		db := raw(t, path)
		execute(t, db, "BEGIN IMMEDIATE")
		return func() { execute(t, db, "ROLLBACK") }
	}
}

func TestBlocked(t *testing.T) {
	t.Parallel()
	ledgertest.RunBlocked(t, blocked)
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	s := open(t, path)
	appendOne(t, s)
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %04o", filepath.Base(name), mode)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	loose := filepath.Join(dir, "loose.db")
	if err := os.WriteFile(loose, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(loose, 0o660); err != nil { //nolint:gosec // the fault under test
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.db")
	if err := os.WriteFile(other, []byte("this is no database, and was never one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a file that others can change": loose, "a file that is no database": other,
		"a folder": dir, "a folder that is not there": filepath.Join(dir, "none", "ledger.db"),
	} {
		if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Key: ledgertest.Key(t, 0)}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "new.db")}); err == nil {
		t.Error("no key is taken")
	}
	if _, err := os.Stat(filepath.Join(dir, "new.db")); err == nil {
		t.Error("a file was made although there is no key")
	}
}

// TestOddPath: a path is no URL.
func TestOddPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b?mode=memory&%41#x.db")
	appendOne(t, open(t, path))
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("the file is not where it was asked for: %v", err)
	}
}

// TestProcesses: a daemon and several commands, each with a store of its own on the
// same file, start at once and write one chain.
func TestProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	stores := make([]*sqlite.Store, 4)
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Key: ledgertest.Key(t, 0)})
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
	for i := range 16 {
		wg.Go(func() {
			for range 10 {
				appendOne(t, stores[i%len(stores)])
			}
		})
	}
	wg.Wait()
	verify(t, stores[0], 160)
}

// TestManyMakeTheFile: several processes that start at once on a file there is none of yet,
// some of which end at once, as a command line does that only looks.
func TestManyMakeTheFile(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "ledger.db")
		begin := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				<-begin
				for range 3 {
					s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Key: ledgertest.Key(t, 0)})
					if err != nil {
						t.Errorf("Open: %v", err)
						return
					}
					if err := s.View(t.Context(), func(context.Context, ledger.Tx) error { return nil }); err != nil {
						t.Errorf("View: %v", err)
					}
					if err := s.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				}
			})
		}
		close(begin)
		wg.Wait()
	}
}

// TestPoolIsShared: the job engine writes through the same connection while the
// store does, and neither meets a locked database.
func TestPoolIsShared(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	if _, err := s.DB().ExecContext(t.Context(), "CREATE TABLE job (n INTEGER)"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if _, err := s.DB().ExecContext(t.Context(), "INSERT INTO job VALUES (1)"); err != nil {
					t.Errorf("the job engine: %v", err)
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				if err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
					if _, err := tx.(*sqlite.Tx).SQL().ExecContext(ctx, "INSERT INTO job VALUES (1)"); err != nil {
						return err
					}
					return tx.Append(ctx, &ledger.Entry{})
				}); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	verify(t, s, 80)
	var n int
	if err := s.DB().QueryRowContext(t.Context(), "SELECT count(*) FROM job").Scan(&n); err != nil || n != 280 {
		t.Errorf("%d jobs, want 280: %v", n, err)
	}
}

// giveUp is what the SQL function give_up calls. A statement tells with it that it
// runs by now: one given up before it began harms nothing.
var giveUp = func() *atomic.Value {
	f := new(atomic.Value)
	modernc.MustRegisterScalarFunction("give_up", 0, // for the connections made from now on
		func(*modernc.FunctionContext, []driver.Value) (driver.Value, error) {
			f.Load().(context.CancelFunc)()
			return int64(1), nil
		})
	return f
}()

// TestInterrupted: a function gives a statement of its own up while it runs and
// swallows the error. SQLite has rolled the whole transaction back by then; nothing
// of it may be recorded, and the neighbours must not notice.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			e := ledger.Entry{Action: "act"}
			err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
				if err := tx.Append(ctx, &e); err != nil {
					return err
				}
				if i%4 == 0 {
					given, cancel := context.WithCancel(ctx)
					defer cancel()
					giveUp.Store(cancel) // the transactions come one after another
					_, err := tx.(*sqlite.Tx).SQL().ExecContext(given, `INSERT INTO rekey_requests
						WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
						SELECT i, give_up(), '', '' FROM n`)
					if err == nil {
						t.Error("an endless statement ended well")
					}
				}
				return nil
			})
			if (i%4 == 0) == (err == nil) || (e.Seq == 0) == (err == nil) {
				t.Errorf("call %d: %v, entry number %d", i, err, e.Seq)
			}
		})
	}
	wg.Wait()
	verify(t, s, 9)
}

func verify(t *testing.T, s ledger.Store, n int64) {
	t.Helper()
	v, err := s.Verify(t.Context())
	if err != nil || !v.OK || v.Entries != n {
		t.Errorf("Verify: %+v, %v; want %d good entries", v, err, n)
	}
}

func appendOne(t testing.TB, s ledger.Store) {
	t.Helper()
	if err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		return tx.Append(ctx, &ledger.Entry{Action: "act", Detail: map[string]string{"mode": "routine"}})
	}); err != nil {
		t.Errorf("Update: %v", err)
	}
}

// raw opens the file as somebody else would, on one connection.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func execute(t testing.TB, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.ExecContext(context.Background(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}
