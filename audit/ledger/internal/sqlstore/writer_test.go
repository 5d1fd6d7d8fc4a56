package sqlstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rekey/audit/ledger"
)

// brittle is a database that misbehaves at COMMIT as real ones do, at moments that
// cannot be had from a real one at will. It keeps nothing: what is kept is tested on
// the real databases.
type brittle struct {
	begin   func(ctx context.Context) error
	commit  func(ctx context.Context) (Outcome, error)
	resolve func() Outcome
	commits int
}

func (b *brittle) Begin(ctx context.Context) (Transaction, error) {
	if b.begin != nil {
		if err := b.begin(ctx); err != nil {
			return nil, err
		}
	}
	return transaction{b}, nil
}

func (b *brittle) Snapshot(context.Context) (Transaction, error) { return transaction{b}, nil }

func (b *brittle) Resolve(context.Context, string) Outcome { return b.resolve() }

func (b *brittle) Close() error { return nil }

type transaction struct{ *brittle }

func (t transaction) Exec(context.Context, string, ...any) (int64, error) { return 1, nil }

func (t transaction) Query(_ context.Context, query string, _ ...any) (Rows, error) {
	if query == "SELECT mark" {
		return &rows{n: 1}, nil
	}
	return &rows{}, nil
}

func (t transaction) Expose(tx *Tx) ledger.Tx { return tx }

func (t transaction) Commit(ctx context.Context) (Outcome, error) {
	t.commits++
	return t.commit(ctx)
}

func (t transaction) Rollback() {}

func (t transaction) Alive() bool { return true }

// rows answers n rows of one text.
type rows struct{ n int }

func (r *rows) Next() bool { r.n--; return r.n >= 0 }

func (r *rows) Scan(dest ...any) error {
	if s, ok := dest[0].(*string); ok {
		*s = "42"
	}
	return nil
}

func (r *rows) Err() error { return nil }
func (r *rows) Close()     {}

var errLost = errors.New("connection lost")

func start(t *testing.T, b *brittle) *Store {
	t.Helper()
	k, err := ledger.NewKey([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	never := func(error) bool { return false }
	return New(Config{Database: b, Key: k, Dialect: &Dialect{
		Mark: "mark", Clock: func() string { return "0" }, Unique: never, Transient: never, Blocked: never,
	}})
}

// lasting answers what a COMMIT that takes d and then ends that way answers.
func lasting(d time.Duration, o Outcome, err error) func(context.Context) (Outcome, error) {
	return func(context.Context) (Outcome, error) { time.Sleep(d); return o, err }
}

func change(context.Context, ledger.Tx) error { return nil }

func TestCommit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		commit  func(context.Context) (Outcome, error)
		resolve Outcome
		want    error // nil: Update answers nil
		took    time.Duration
		commits int
	}{
		{name: "ends before the deadline", commit: lasting(900*time.Millisecond, Committed, nil), took: 900 * time.Millisecond, commits: 1},
		{name: "ends in the grace after the deadline", commit: lasting(1100*time.Millisecond, Committed, nil), took: 1100 * time.Millisecond, commits: 1},
		{name: "ends after the grace", commit: lasting(2*time.Second, Committed, nil), want: ledger.ErrUnknownOutcome, took: time.Second + Grace, commits: 1},
		{name: "is rolled back after the deadline", commit: lasting(1100*time.Millisecond, InDoubt, errLost), resolve: Aborted, want: ledger.ErrNotStarted, took: 1100 * time.Millisecond, commits: 1},
		{name: "is lost but was durable", commit: lasting(100*time.Millisecond, InDoubt, errLost), resolve: Committed, took: 100 * time.Millisecond, commits: 1},
		{name: "is lost and stays in doubt", commit: lasting(100*time.Millisecond, InDoubt, errLost), resolve: InDoubt, want: ledger.ErrUnknownOutcome, took: time.Second + Grace, commits: 1},
		{name: "is refused", commit: lasting(100*time.Millisecond, Aborted, errLost), want: errLost, took: 100 * time.Millisecond, commits: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &brittle{commit: c.commit, resolve: func() Outcome { return c.resolve }}
				s := start(t, b)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				err := s.Update(ctx, change)
				if !errors.Is(err, c.want) {
					t.Errorf("Update: %v, want %v", err, c.want)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("Update took %s, want %s", took, c.took)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if b.commits != c.commits {
					t.Errorf("COMMIT was sent %d times, want %d", b.commits, c.commits)
				}
			})
		})
	}
}

// TestRunsAgain: a COMMIT that was lost and certainly rolled back is done again.
func TestRunsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &brittle{resolve: func() Outcome { return Aborted }}
		b.commit = func(context.Context) (Outcome, error) {
			if b.commits < 3 {
				return InDoubt, errLost
			}
			return Committed, nil
		}
		s := start(t, b)
		runs := 0
		if err := s.Update(t.Context(), func(context.Context, ledger.Tx) error { runs++; return nil }); err != nil {
			t.Error(err)
		}
		if runs != 3 {
			t.Errorf("fn ran %d times, want 3", runs)
		}
		_ = s.Close()
	})
}

// TestUnreachable: callers with a deadline wait for the database until then, others
// as long as patience lasts; closing ends the wait.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, &brittle{begin: func(context.Context) error { return errLost }})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := s.Update(ctx, change)
		if !errors.Is(err, ledger.ErrNotStarted) || !errors.Is(err, errLost) || time.Since(began) != time.Second {
			t.Errorf("with a deadline, after %s: %v", time.Since(began), err)
		}
		began = time.Now()
		err = s.Update(t.Context(), change)
		if took := time.Since(began); !errors.Is(err, errLost) || took < patience || took > patience+2*maxPause {
			t.Errorf("without one, after %s: %v", took, err)
		}
		waiting := make(chan error, 1)
		go func() { waiting <- s.Update(t.Context(), change) }()
		synctest.Wait()
		_ = s.Close()
		if err := <-waiting; !errors.Is(err, ledger.ErrClosed) {
			t.Errorf("after closing: %v", err)
		}
	})
}

// TestDeadlineOfNeighbour: the one call whose deadline passes in the middle of a
// batch is dropped for certain; the others are run again without it.
func TestDeadlineOfNeighbour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &brittle{commit: lasting(0, Committed, nil)}
		s := start(t, b)
		inFront, free := make(chan struct{}), make(chan struct{})
		go func() {
			_ = s.Update(t.Context(), func(context.Context, ledger.Tx) error { close(inFront); <-free; return nil })
		}()
		<-inFront
		results := make(chan error, 3)
		runs := 0
		go func() {
			results <- s.Update(t.Context(), func(context.Context, ledger.Tx) error { runs++; return nil })
		}()
		synctest.Wait() // it is in front of the slow one
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		slow := make(chan error, 1)
		go func() {
			slow <- s.Update(ctx, func(ctx context.Context, _ ledger.Tx) error { <-ctx.Done(); return nil })
		}()
		synctest.Wait()
		close(free)
		if err := <-slow; !errors.Is(err, ledger.ErrNotStarted) {
			t.Errorf("the slow one: %v", err)
		}
		if err := <-results; err != nil || runs != 2 {
			t.Errorf("its neighbour, after %d runs: %v", runs, err)
		}
		if b.commits != 2 {
			t.Errorf("%d commits, want 2", b.commits)
		}
		_ = s.Close()
	})
}
