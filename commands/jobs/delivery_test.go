package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/jobs"
)

// order inserts a delivery (or raises what is wanted of it) as the ledger's rules ask.
func order(t testing.TB, store ledger.Store, e *jobs.Engine, id string, wanted int64) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ledger.Tx) error {
		needed, err := tx.PutDelivery(ctx, ledger.Delivery{ID: id, Run: strings.Split(id, "/")[0], Kind: "board", Token: "t-" + id, Wanted: wanted, CreatedAt: time.Now().UTC()})
		if err != nil || !needed {
			return err
		}
		return e.EnqueueDelivery(ctx, tx, id, time.Time{})
	})
}

// send is Deliver that sends to nobody: it records what was wanted when it claimed and
// lets go in the same transaction.
func send(ctx context.Context, store ledger.Store, id string, during ...func()) error {
	return deliver(ctx, store, id, true, during...)
}

// deliver is send that leaves the letting go to the engine unless release is set.
func deliver(ctx context.Context, store ledger.Store, id string, release bool, during ...func()) error {
	var d ledger.Delivery
	err := store.Update(ctx, func(ctx context.Context, tx ledger.Tx) (err error) {
		d, err = tx.ClaimDelivery(ctx, id, jobs.ReplicaID(ctx))
		return err
	})
	if err != nil {
		return fmt.Errorf("claiming: %w", err)
	}
	for _, do := range during {
		do()
	}
	return store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		done := d
		done.Sent, done.SentAt = d.Wanted, time.Now().UTC()
		if err := tx.UpdateDelivery(ctx, &done); err != nil || !release || done.Sent < done.Wanted {
			return err
		}
		return tx.ReleaseDelivery(ctx, id, done.Holder, done.Fence)
	})
}

type busy time.Duration

func (busy) Error() string               { return "rate limited" }
func (b busy) RetryAfter() time.Duration { return time.Duration(b) }

func TestADeliveryWaitsAsLongAsItIsAskedTo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		const wait = 800 * time.Millisecond
		calls := make(chan time.Time, 10)
		e := start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Deliver: func(ctx context.Context, id string) error {
			calls <- time.Now()
			if len(calls) == 1 {
				return fmt.Errorf("posting to the channel: %w", busy(wait))
			}
			return deliver(ctx, store, id, false)
		}})
		order(t, store, e, "r-1/board", 1)
		eventually(t, "the delivery is sent", func() bool { return getDelivery(t, store, "r-1/board").Sent == 1 })
		first, second := <-calls, <-calls
		if got := second.Sub(first); got < wait-time.Millisecond {
			t.Errorf("tried again after %s, want at least %s", got, wait)
		}
		eventually(t, "the delivery is released", func() bool { return getDelivery(t, store, "r-1/board").Holder == "" })
	})
}

func TestWhatIsWantedWhileADeliveryIsUnderWayIsSentToo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		var (
			once sync.Once
			e    *jobs.Engine
		)
		e = start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Deliver: func(ctx context.Context, id string) error {
			return send(ctx, store, id, func() { once.Do(func() { order(t, store, e, id, 2) }) })
		}})
		order(t, store, e, "r-1/board", 1)
		eventually(t, "both are sent", func() bool { return getDelivery(t, store, "r-1/board").Sent == 2 })
	})
}

// What is being told to people while we stop is told to the end, once.
func TestStoppingWaitsForDeliveriesUnderWay(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		began := make(chan struct{}, 10)
		deliver := func(ctx context.Context, id string) error {
			return send(ctx, store, id, func() {
				began <- struct{}{}
				time.Sleep(200 * time.Millisecond)
			})
		}
		first := start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Deliver: deliver})
		order(t, store, first, "r-1/board", 1)
		receive(t, "the delivery begins", began)
		stop(t, first)
		if del := getDelivery(t, store, "r-1/board"); del.Sent != 1 || del.Holder != "" || del.Fence != 1 {
			t.Errorf("after the stop %d of 1 is sent, held by %q, claimed %d times", del.Sent, del.Holder, del.Fence)
		}
	})
}

func TestTwoThousandDeliveriesAreSentOnceEach(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, d database) {
		store := d.open(t)
		const n = 2000
		var (
			mu   sync.Mutex
			sent = map[string]int{}
		)
		e := start(t, jobs.Config{Store: store, Exclusive: d.exclusive(), Deliver: func(ctx context.Context, id string) error {
			return send(ctx, store, id, func() {
				mu.Lock()
				defer mu.Unlock()
				sent[id]++
			})
		}})
		began := time.Now()
		for i := range n {
			order(t, store, e, fmt.Sprintf("r-1/%d", i), 1)
		}
		eventuallyWithin(t, 10*time.Minute, "all are sent", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(sent) == n
		})
		t.Logf("%d deliveries in %s", n, time.Since(began).Round(time.Millisecond))
		mu.Lock()
		defer mu.Unlock()
		for id, times := range sent {
			if times != 1 {
				t.Errorf("%s was sent %d times", id, times)
			}
		}
	})
}
