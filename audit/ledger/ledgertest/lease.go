package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
)

const long = time.Hour

func beat(ctx context.Context, tx ledger.Tx, id string) error {
	return tx.Beat(ctx, ledger.Replica{ID: id, Host: "host", PID: 7}, long)
}

func leases(t *testing.T, s ledger.Store) {
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		return errors.Join(beat(ctx, tx, "a"), beat(ctx, tx, "b"), tx.Beat(ctx, ledger.Replica{ID: "over"}, 0))
	})
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		rs, err := tx.Replicas(ctx)
		var ids []string
		for _, r := range rs {
			ids = append(ids, r.ID)
			if r.Host != "host" || r.PID != 7 || time.Since(r.Seen).Abs() > time.Minute {
				t.Errorf("replica kept as %+v", r)
			}
		}
		if diff := cmp.Diff([]string{"a", "b"}, ids); diff != "" {
			t.Errorf("Replicas (-want +got):\n%s", diff)
		}
		return err
	})
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		if err := beat(ctx, tx, "over"); err != nil {
			t.Errorf("a lease that passed unnoticed is renewed: %v", err)
		}
		o, err := tx.Bury(ctx, "over", "nobody")
		if diff := cmp.Diff(ledger.Orphans{Replicas: []string{"over"}}, o); diff != "" {
			t.Errorf("Bury (-want +got):\n%s", diff)
		}
		wantErr(t, "a beat of a replica that was declared gone", beat(ctx, tx, "over"), ledger.ErrFenced)
		if err := tx.Leave(ctx, "over"); err != nil {
			return err
		}
		wantErr(t, "a beat after leaving as one declared gone", beat(ctx, tx, "over"), ledger.ErrFenced)
		return errors.Join(err, tx.Leave(ctx, "a"), beat(ctx, tx, "a"), tx.Leave(ctx, "b"), tx.Leave(ctx, "nobody"))
	})
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		rs, err := tx.Replicas(ctx)
		if len(rs) != 1 || rs[0].ID != "a" {
			t.Errorf("Replicas: %+v, want a alone", rs)
		}
		return err
	})
}

func bury(t *testing.T, s ledger.Store) {
	finished := rotation("finished", "F")
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		for _, r := range []ledger.Run{rotation("dead", "A"), rotation("alive", "B"), rotation("stray", "C"), rotation("free", "D"), finished} {
			if err := tx.InsertRun(ctx, r); err != nil {
				return err
			}
		}
		_, e1 := tx.PutDelivery(ctx, ledger.Delivery{ID: "unsent", Wanted: 1})
		_, e2 := tx.PutDelivery(ctx, ledger.Delivery{ID: "sent", Wanted: 1})
		return errors.Join(e1, e2, beat(ctx, tx, "live"), tx.Beat(ctx, ledger.Replica{ID: "late"}, 0))
	})
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		for run, holder := range map[string]string{"dead": "late", "alive": "live", "stray": "unknown", "finished": "late"} {
			r, err := tx.ClaimRun(ctx, run, holder)
			if err != nil {
				return err
			}
			if run == "finished" {
				r.State = ledger.Succeeded
				if err := tx.UpdateRun(ctx, &r); err != nil {
					return err
				}
			}
		}
		_, e1 := tx.ClaimDelivery(ctx, "unsent", "late")
		d, e2 := tx.ClaimDelivery(ctx, "sent", "late")
		d.Sent = 1
		return errors.Join(e1, e2, tx.UpdateDelivery(ctx, &d))
	})
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		o, err := tx.Bury(ctx)
		slices.Sort(o.Runs)
		want := ledger.Orphans{Replicas: []string{"late"}, Runs: []string{"dead", "stray"}, Deliveries: []string{"unsent"}}
		if diff := cmp.Diff(want, o); diff != "" {
			t.Errorf("Bury (-want +got):\n%s", diff)
		}
		if err != nil {
			return err
		}
		again, err := tx.Bury(ctx)
		if diff := cmp.Diff(ledger.Orphans{}, again); diff != "" {
			t.Errorf("a second Bury finds (-want +got):\n%s", diff)
		}
		return err
	})
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		for id, want := range map[string]string{"dead": "/2", "stray": "/2", "alive": "live/1", "free": "/0", "finished": "/2"} {
			r, err := tx.Run(ctx, id)
			if err != nil {
				return err
			}
			if got := fmt.Sprintf("%s/%d", r.Holder, r.Fence); got != want {
				t.Errorf("run %s: holder/fence is %s, want %s", id, got, want)
			}
		}
		return nil
	})
}

// buryAtOnce lets many bury the same dead: each orphan is answered exactly once.
func buryAtOnce(t *testing.T, s ledger.Store) {
	const n = 40
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		for i := range n {
			id := fmt.Sprint(i)
			err := errors.Join(tx.InsertRun(ctx, rotation(id, id)), tx.Beat(ctx, ledger.Replica{ID: "dead-" + id}, 0))
			if err != nil {
				return err
			}
			if _, err := tx.ClaimRun(ctx, id, "dead-"+id); err != nil {
				return err
			}
		}
		return nil
	})
	var (
		mu   sync.Mutex
		seen = map[string]int{}
		wg   sync.WaitGroup
	)
	for range 8 {
		wg.Go(func() {
			var o ledger.Orphans
			if err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) (err error) {
				o, err = tx.Bury(ctx)
				return err
			}); err != nil {
				t.Errorf("Bury: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, id := range o.Runs {
				seen[id]++
			}
		})
	}
	wg.Wait()
	for i := range n {
		if c := seen[fmt.Sprint(i)]; c != 1 {
			t.Errorf("run %d was answered %d times", i, c)
		}
	}
}
