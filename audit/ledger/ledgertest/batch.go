package ledgertest

import (
	"context"
	"errors"
	"testing"

	"rekey/audit/ledger"
)

// batches: members know their batch and their turn for good, and are listed by it.
func batches(t *testing.T, s ledger.Store) {
	whole := ledger.Run{ID: "b-1", Kind: ledger.KindBatch, Secret: "all", Environment: "production", State: ledger.Queued, CreatedAt: kept}
	second := whole
	second.ID = "b-2" // any number of batches may stand beside each other
	first, next, single := rotation("r-1", "ONE"), rotation("r-2", "TWO"), rotation("r-3", "THREE")
	first.Batch, first.Turn = whole.ID, 1
	next.Batch, next.Turn = whole.ID, 2
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		return errors.Join(tx.InsertRun(ctx, whole), tx.InsertRun(ctx, second),
			tx.InsertRun(ctx, first), tx.InsertRun(ctx, next), tx.InsertRun(ctx, single))
	})
	sameRun(t, s, first)
	sameRun(t, s, next)

	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		moved := next
		moved.Batch, moved.Turn = "b-2", 7
		return tx.UpdateRun(ctx, &moved)
	})
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		members, err := tx.Runs(ctx, ledger.RunFilter{Batch: "b-1"})
		if len(members) != 2 || members[0].Turn+members[1].Turn != 3 {
			t.Errorf("the members of b-1 are %+v, want r-1 and r-2 in turns 1 and 2", members)
		}
		others, otherErr := tx.Runs(ctx, ledger.RunFilter{Batch: "b-2"})
		if len(others) != 0 {
			t.Errorf("b-2 has the members %+v, want none", others)
		}
		return errors.Join(err, otherErr)
	})
}

// wishes reach whoever holds the run, and stay until they are granted.
func wishes(t *testing.T, s ledger.Store) {
	r := rotation("r-1", "ONE")
	update(t, s, func(ctx context.Context, tx ledger.Tx) error { return tx.InsertRun(ctx, r) })
	ask := func(wish ledger.Wish) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx ledger.Tx) error { return tx.AskRun(ctx, "r-1", wish) })
	}
	write := func(change func(*ledger.Run)) ledger.Run {
		t.Helper()
		got := r
		update(t, s, func(ctx context.Context, tx ledger.Tx) error {
			got = r
			change(&got)
			return tx.UpdateRun(ctx, &got)
		})
		return got
	}
	ask(ledger.WishCompromised)
	if got := write(func(*ledger.Run) {}); got.Asked != ledger.WishCompromised {
		t.Errorf("the holder learns of %q, want the wish", got.Asked)
	}
	if got := write(func(r *ledger.Run) { r.Asked = ""; r.Granted = ledger.WishRollback }); got.Asked != ledger.WishCompromised {
		t.Errorf("granting another wish left %q, want the wish still there", got.Asked)
	}
	ask(ledger.WishRollback)
	if got := write(func(r *ledger.Run) { r.Granted = ledger.WishCompromised }); got.Asked != ledger.WishRollback {
		t.Errorf("a newer wish was lost with the older one: %q", got.Asked)
	}
	if got := write(func(r *ledger.Run) { r.Granted = ledger.WishRollback }); got.Asked != "" {
		t.Errorf("a granted wish is still there: %q", got.Asked)
	}
	write(func(r *ledger.Run) { r.State = ledger.Succeeded })
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		wantErr(t, "asking a run that has ended", tx.AskRun(ctx, "r-1", ledger.WishRollback), ledger.ErrEnded)
		wantErr(t, "asking a run that never was", tx.AskRun(ctx, "r-9", ledger.WishRollback), ledger.ErrNotFound)
		return nil
	})
}
