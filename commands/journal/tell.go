package journal

import (
	"context"
	"fmt"
	"time"

	"rekey/audit/ledger"
)

// Tell asks, inside tx, for the board to follow the run to its present version and
// for each notice to be delivered.
//
// A member of a batch has no board, page or report of its own: the batch's board
// follows it, what its steps saw and its files go below that board, and the rest is the batch's to
// tell, which is woken for it.
func Tell(ctx context.Context, tx ledger.Tx, q Queue, run ledger.Run, notices []Notice, now time.Time) error {
	board := ledger.Delivery{ID: run.ID + "/" + Board, Run: run.ID, Kind: Board, Wanted: max(run.Version, 1), CreatedAt: now}
	if run.Batch != "" {
		board.ID, board.Run = run.Batch+"/"+Board, run.Batch
	}
	if run.Batch != "" || run.Kind == ledger.KindBatch {
		var err error
		if board.Wanted, err = versions(ctx, tx, board.Run); err != nil {
			return err
		}
	}
	if run.Kind != ledger.KindWatch { // it tells below the board of its rotation
		if err := tell(ctx, tx, q, board); err != nil {
			return err
		}
	}
	for _, n := range notices {
		if run.Batch != "" && !n.below() {
			if err := q.EnqueueRun(ctx, tx, run.Batch, time.Time{}); err != nil {
				return err
			}
			continue
		}
		err := tell(ctx, tx, q, ledger.Delivery{
			ID: run.ID + "/" + n.Name, Run: run.ID, Kind: n.Kind, Subject: n.Subject,
			Wanted: max(run.Version, 1), CreatedAt: now,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Announce asks, inside tx, for the digest that the request of that id holds to be told.
func Announce(ctx context.Context, tx ledger.Tx, q Queue, request string, now time.Time) error {
	return tell(ctx, tx, q, ledger.Delivery{ID: request, Kind: Digest, Subject: request, Wanted: 1, CreatedAt: now})
}

// below reports whether n goes below the board even of a member of a batch: what its steps
// saw, and the files of its evidence.
func (n Notice) below() bool { return n.Kind == Thread && n.Name != Report || n.Kind == Files }

func tell(ctx context.Context, tx ledger.Tx, q Queue, d ledger.Delivery) error {
	queued, err := tx.PutDelivery(ctx, d)
	if err != nil || !queued {
		return err
	}
	return q.EnqueueDelivery(ctx, tx, d.ID, time.Time{})
}

// versions is the version of what a batch's board shows: it grows with each change of
// the batch or of a member.
func versions(ctx context.Context, tx ledger.Tx, batch string) (int64, error) {
	whole, err := tx.Run(ctx, batch)
	if err != nil {
		return 0, fmt.Errorf("reading batch %s: %w", batch, err)
	}
	members, err := tx.Runs(ctx, ledger.RunFilter{Batch: batch, Limit: MaxMembers})
	if err != nil {
		return 0, fmt.Errorf("reading the members of batch %s: %w", batch, err)
	}
	sum := max(whole.Version, 1)
	for _, m := range members {
		sum += m.Version
	}
	return sum, nil
}

// MaxMembers is more than any catalogue has secrets in one environment.
const MaxMembers = 10_000
