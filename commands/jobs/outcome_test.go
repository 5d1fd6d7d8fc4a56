package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/audit/ledger"
)

type rateLimited struct{ wait time.Duration }

func (rateLimited) Error() string               { return "rate limited" }
func (r rateLimited) RetryAfter() time.Duration { return r.wait }

// within reports whether a next wake-up is due d after now, give or take the jitter.
func within(n next, now time.Time, d time.Duration) bool {
	at := n.at
	if at.IsZero() {
		at = now
	}
	got := at.Sub(now)
	return n.wake && got >= d-d/10 && got <= d+d/10
}

func TestWhatFollowsARun(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	boom := errors.New("boom")
	tests := []struct {
		name     string
		run      ledger.Run
		err      error
		failures int
		wake     bool
		after    time.Duration
		failed   bool
	}{
		{name: "final", run: ledger.Run{State: ledger.Succeeded}},
		{name: "final beats an error", run: ledger.Run{State: ledger.Failed}, err: boom},
		{name: "waiting", run: ledger.Run{State: ledger.Waiting, WakeAt: now.Add(24 * time.Hour)}, wake: true, after: 24 * time.Hour},
		{name: "handed over", run: ledger.Run{State: ledger.Running}, err: fmt.Errorf("at step 3: %w", ErrHandOver), wake: true},
		{name: "after", run: ledger.Run{State: ledger.Running}, err: fmt.Errorf("polling: %w", After(7*time.Second)), wake: true, after: 7 * time.Second},
		{name: "after nothing", run: ledger.Run{State: ledger.Running}, err: After(-1), wake: true},
		{name: "first failure", run: ledger.Run{State: ledger.Running}, err: boom, wake: true, after: 500 * time.Millisecond, failed: true},
		{name: "fourth failure", run: ledger.Run{State: ledger.Running}, err: boom, failures: 3, wake: true, after: 4 * time.Second, failed: true},
		{name: "hundredth failure", run: ledger.Run{State: ledger.Running}, err: boom, failures: 99, wake: true, after: 30 * time.Second, failed: true},
		{name: "panic", run: ledger.Run{State: ledger.Queued}, err: errPanicked, wake: true, after: 500 * time.Millisecond, failed: true},
		{name: "fenced by mistake", run: ledger.Run{State: ledger.Running}, err: ledger.ErrFenced, wake: true, after: 500 * time.Millisecond, failed: true},
		{name: "no promise", run: ledger.Run{State: ledger.Running}, wake: true, after: 500 * time.Millisecond, failed: true},
		{name: "failure while waiting", run: ledger.Run{State: ledger.Waiting, WakeAt: now.Add(time.Hour)}, err: boom, wake: true, after: 500 * time.Millisecond, failed: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := afterRun(tt.run, tt.err, now, tt.failures)
			if n.wake != tt.wake || n.failed != tt.failed || n.wake && !within(n, now, tt.after) {
				t.Errorf("got %+v (in %s), want wake %v after %s, failed %v", n, n.at.Sub(now), tt.wake, tt.after, tt.failed)
			}
		})
	}
}

func TestWhatFollowsADelivery(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	boom := errors.New("boom")
	open := ledger.Delivery{Wanted: 3, Sent: 1}
	tests := []struct {
		name     string
		delivery ledger.Delivery
		sent     int64
		err      error
		failures int
		wake     bool
		after    time.Duration
		failed   bool
	}{
		{name: "complete", delivery: ledger.Delivery{Wanted: 3, Sent: 3}},
		{name: "complete beats an error", delivery: ledger.Delivery{Wanted: 3, Sent: 4}, err: boom},
		{name: "more was wanted meanwhile", delivery: open, sent: 0, wake: true},
		{name: "no progress", delivery: open, sent: 1, wake: true, after: time.Second, failed: true},
		{name: "asked to wait", delivery: open, sent: 1, err: fmt.Errorf("posting: %w", rateLimited{30 * time.Second}), wake: true, after: 30 * time.Second, failed: true},
		{name: "asked to come at once", delivery: open, sent: 1, err: rateLimited{}, wake: true, after: 500 * time.Millisecond, failed: true},
		{name: "asked to wait a year", delivery: open, sent: 1, err: rateLimited{365 * 24 * time.Hour}, wake: true, after: time.Hour, failed: true},
		{name: "after", delivery: open, sent: 1, err: After(3 * time.Second), wake: true, after: 3 * time.Second},
		{name: "held elsewhere", delivery: open, sent: 1, err: fmt.Errorf("claiming: %w", ledger.ErrHeld), wake: true, after: 2 * time.Second},
		{name: "first failure", delivery: open, sent: 1, err: boom, wake: true, after: time.Second, failed: true},
		{name: "tenth failure", delivery: open, sent: 1, err: boom, failures: 9, wake: true, after: time.Minute, failed: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := afterDelivery(tt.delivery, tt.sent, tt.err, now, tt.failures)
			if n.wake != tt.wake || n.failed != tt.failed || n.wake && !within(n, now, tt.after) {
				t.Errorf("got %+v (in %s), want wake %v after %s, failed %v", n, n.at.Sub(now), tt.wake, tt.after, tt.failed)
			}
		})
	}
}

func TestBackoffGrowsToItsMostAndStaysThere(t *testing.T) {
	t.Parallel()
	for n, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second} {
		if got := runBackoff.delay(n); got < want-want/10 || got > want+want/10 {
			t.Errorf("after %d failures: got %s, want %s ± 10%%", n, got, want)
		}
	}
	for _, n := range []int{19, 20, 63, 64, 1 << 30} {
		if got := runBackoff.delay(n); got < 27*time.Second || got > 33*time.Second {
			t.Errorf("after %d failures: got %s, want 30s ± 10%%", n, got)
		}
	}
}

func TestTheProcessOfAReplica(t *testing.T) {
	t.Parallel()
	p := newProcess("db-1.example.org-77")
	if got := process(p + ".12"); got != p {
		t.Errorf("got %q, want %q", got, p)
	}
	if a, b := newProcess("x"), newProcess("x"); a == b {
		t.Error("two processes of one name cannot be told apart")
	}
}

func TestRiverIsNeverGivenAnErrorsText(t *testing.T) {
	t.Parallel()
	if err := putBack(nil); err != nil {
		t.Errorf("nothing went wrong, but River is told %v", err)
	}
	err := putBack(errors.New("hunter2"))
	if err == nil {
		t.Fatal("an error must put the wake-up back")
	}
	if got := fmt.Sprintf("%v %+v", err, err); errors.Unwrap(err) != nil || len(got) > 200 || strings.Contains(got, "hunter2") {
		t.Errorf("the error's text went through")
	}
}

func TestOneSeatPerRunAndABellForTheRest(t *testing.T) {
	t.Parallel()
	var (
		g   guard
		w   = wake{kindRun, "r-1"}
		now = &epoch{id: "a.1"}
		ctx = context.Background()
	)
	first, err := g.take(ctx, w, now, time.Minute)
	if err != nil || first == nil {
		t.Fatalf("the first wake-up got no seat: %v", err)
	}
	if second, err := g.take(ctx, w, now, time.Minute); err != nil || second != nil {
		t.Fatalf("the second wake-up got %v, %v; want no seat", second, err)
	}
	if other, err := g.take(ctx, wake{kindDelivery, "r-1"}, now, time.Minute); err != nil || other == nil {
		t.Fatalf("another kind of the same id got no seat: %v", err)
	}
	if !g.close(first) {
		t.Error("the bell was not heard")
	}

	// Once the follow-up is being decided a wake-up has to wait for its own turn.
	got := make(chan *seat)
	go func() {
		third, _ := g.take(ctx, w, now, time.Minute)
		got <- third
	}()
	select {
	case s := <-got:
		t.Fatalf("a wake-up was answered with %v while the follow-up was being decided", s)
	case <-time.After(20 * time.Millisecond):
	}
	g.leave(w, first)
	third := <-got
	if third == nil {
		t.Fatal("the third wake-up was lost")
	}
	if g.close(third) {
		t.Error("a bell from before was heard again")
	}
	g.leave(w, third)
}

func TestASeatOfAnEndedEpochIsTakenOverAfterAGrace(t *testing.T) {
	t.Parallel()
	var (
		g        guard
		w        = wake{kindRun, "r-1"}
		old, now = &epoch{id: "a.1"}, &epoch{id: "a.2"}
		ctx      = context.Background()
	)
	stuck, _ := g.take(ctx, w, old, time.Minute)
	fresh, err := g.take(ctx, w, now, time.Millisecond)
	if err != nil || fresh == nil {
		t.Fatalf("got %v, %v; want the seat", fresh, err)
	}
	g.leave(w, stuck) // the stuck work returns at last: it must not free the new seat
	if again, _ := g.take(ctx, w, now, time.Minute); again != nil {
		t.Error("two wake-ups sit on one seat")
	}
	if !g.close(fresh) {
		t.Error("the bell was not heard")
	}
}

func TestWaitingForASeatEndsWithItsEpoch(t *testing.T) {
	t.Parallel()
	var (
		g   guard
		w   = wake{kindRun, "r-1"}
		old = &epoch{id: "a.1"}
	)
	_, _ = g.take(context.Background(), w, old, time.Minute)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(ledger.ErrFenced)
	if _, err := g.take(ctx, w, &epoch{id: "a.2"}, time.Minute); !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("got %v, want %v", err, ledger.ErrFenced)
	}
}
