package sqlstore

import (
	"context"
	"fmt"

	"rekey/audit/ledger"
)

// Runs and deliveries are held alike: a holder, and a fence that every change of
// holder raises. The tables' names below are constants of this package.

// claim is an UPDATE that takes row $1 for replica $2 unless a live replica holds
// it. The row's lock decides between two that claim at once: the second sees the
// first as holder. Columns to return are appended to it.
func (t *Tx) claim(table string) string {
	return "UPDATE " + table + ` SET holder = $2, fence = fence + 1
		WHERE id = $1 AND (holder = '' OR NOT EXISTS (SELECT 1 FROM rekey_replicas AS r
			WHERE r.id = ` + table + `.holder AND r.gone_at = 0 AND r.lease_until > ` + t.dialect.Clock() + `))
		RETURNING `
}

func (t *Tx) release(ctx context.Context, what, table, id, replica string, fence int64) error {
	n, err := t.exec(ctx, what, "UPDATE "+table+` SET holder = ''
		WHERE id = $1 AND holder = $2 AND fence = $3`, id, replica, fence)
	if err == nil && n == 0 {
		err = t.refused(ctx, what, table, id, ledger.ErrFenced)
	}
	return err
}

// refused answers why no row matched: there is none, or the reason given.
func (t *Tx) refused(ctx context.Context, what, table, id string, reason error) error {
	known, err := t.exists(ctx, table, id)
	if err != nil {
		return err
	}
	if !known {
		reason = ledger.ErrNotFound
	}
	return fmt.Errorf("%s %s: %w", what, id, reason)
}

func (t *Tx) exists(ctx context.Context, table, id string) (bool, error) {
	found, err := t.ids(ctx, "finding "+id, "SELECT id FROM "+table+" WHERE id = $1", id)
	return len(found) > 0, err
}
