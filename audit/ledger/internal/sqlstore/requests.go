package sqlstore

import (
	"context"
	"fmt"

	"rekey/audit/ledger"
)

// InsertRequest implements ledger.Tx.
func (t *Tx) InsertRequest(ctx context.Context, r ledger.Request) error {
	n, err := t.exec(ctx, "recording request", `INSERT INTO rekey_requests (id, at, run, answer)
		VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, r.ID, micros(r.At), r.Run, r.Answer)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("recording request %s: %w", r.ID, ledger.ErrDuplicate)
	}
	return nil
}

// Request implements ledger.Tx.
func (t *Tx) Request(ctx context.Context, id string) (r ledger.Request, err error) {
	found, err := t.one(ctx, "finding request", func(rows Rows) error {
		var at int64
		if err := rows.Scan(&r.ID, &at, &r.Run, &r.Answer); err != nil {
			return err
		}
		r.At = timeOf(at)
		return nil
	}, "SELECT id, at, run, answer FROM rekey_requests WHERE id = $1", id)
	if err == nil && !found {
		err = fmt.Errorf("request %s: %w", id, ledger.ErrNotFound)
	}
	return r, err
}
