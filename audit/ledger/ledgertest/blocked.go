package ledgertest

import (
	"context"
	"sync"
	"testing"
	"time"

	"rekey/audit/ledger"
)

// RunBlocked is the contract for a database that does not let anybody append for a
// while, because somebody else holds the lock that appending needs. open answers an
// empty store and a function that takes that lock and answers how to release it.
func RunBlocked(t *testing.T, open func(t *testing.T) (s ledger.Store, block func(t *testing.T) (release func()))) {
	t.Run("a caller returns at its deadline and nothing is recorded", func(t *testing.T) {
		t.Parallel()
		s, block := open(t)
		appendOne(t, s, "before")
		release := block(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				e := ledger.Entry{Action: "never"}
				err := s.Update(ctx, func(ctx context.Context, tx ledger.Tx) error { return tx.Append(ctx, &e) })
				wantErr(t, "Update", err, ledger.ErrNotStarted)
			})
		}
		wg.Wait() // returns while the lock is held: that is the assertion
		view(t, s, func(ctx context.Context, tx ledger.Tx) error {
			seq, _, err := tx.Head(ctx)
			if seq != 1 {
				t.Errorf("the head is at %d", seq)
			}
			return err
		})
		release()
		appendOne(t, s, "after")
		verified(t, s, 2)
	})
	t.Run("a caller without a deadline waits for its turn", func(t *testing.T) {
		t.Parallel()
		s, block := open(t)
		release := block(t)
		short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { appendOne(t, s, "patient") })
		}
		err := s.Update(short, func(ctx context.Context, tx ledger.Tx) error {
			return tx.Append(ctx, &ledger.Entry{Action: "never"})
		})
		wantErr(t, "the neighbour with a deadline", err, ledger.ErrNotStarted)
		release()
		wg.Wait()
		verified(t, s, 8)
	})
	t.Run("a caller that is cancelled", func(t *testing.T) {
		t.Parallel()
		s, block := open(t)
		release := block(t)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		err := s.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
			return tx.Append(ctx, &ledger.Entry{Action: "never"})
		})
		wantErr(t, "Update", err, ledger.ErrNotStarted)
		release()
		verified(t, s, 0)
	})
	t.Run("closing", func(t *testing.T) {
		t.Parallel()
		s, block := open(t)
		release := block(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_ = s.Update(ctx, func(ctx context.Context, tx ledger.Tx) error { return tx.Append(ctx, &ledger.Entry{}) })
			})
		}
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		release()
		wg.Wait()
	})
}
