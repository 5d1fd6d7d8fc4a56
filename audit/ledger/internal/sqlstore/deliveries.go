package sqlstore

import (
	"context"
	"fmt"

	"rekey/audit/ledger"
)

const deliveryColumns = `id, run, kind, subject, token, ref, wanted, sent, attempts, last_error,
	holder, fence, created_at, sent_at`

// PutDelivery implements ledger.Tx. The row is locked between reading and raising,
// so that a sender that finishes at the same moment cannot leave a raised Wanted
// behind that nobody was queued for.
func (t *Tx) PutDelivery(ctx context.Context, d ledger.Delivery) (queued bool, err error) {
	n, err := t.exec(ctx, "recording delivery", "INSERT INTO rekey_deliveries ("+deliveryColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING`,
		d.ID, d.Run, d.Kind, d.Subject, d.Token, d.Ref, d.Wanted, d.Sent, int64(d.Attempts), d.LastError,
		d.Holder, d.Fence, micros(d.CreatedAt), micros(d.SentAt))
	if err != nil || n == 1 {
		return n == 1, err
	}
	var wanted, sent int64
	if _, err := t.one(ctx, "reading delivery", func(rows Rows) error {
		return rows.Scan(&wanted, &sent)
	}, "SELECT wanted, sent FROM rekey_deliveries WHERE id = $1"+t.dialect.ForUpdate, d.ID); err != nil {
		return false, err
	}
	if d.Wanted <= wanted {
		return false, nil
	}
	if _, err := t.exec(ctx, "raising delivery", "UPDATE rekey_deliveries SET wanted = $2 WHERE id = $1", d.ID, d.Wanted); err != nil {
		return false, err
	}
	return sent >= wanted, nil
}

// Delivery implements ledger.Tx.
func (t *Tx) Delivery(ctx context.Context, id string) (d ledger.Delivery, err error) {
	found, err := t.one(ctx, "finding delivery", func(rows Rows) error {
		d, err = scanDelivery(rows)
		return err
	}, "SELECT "+deliveryColumns+" FROM rekey_deliveries WHERE id = $1", id)
	if err == nil && !found {
		err = fmt.Errorf("delivery %s: %w", id, ledger.ErrNotFound)
	}
	return d, err
}

// Deliveries implements ledger.Tx.
func (t *Tx) Deliveries(ctx context.Context, run string) (ds []ledger.Delivery, err error) {
	err = t.each(ctx, "listing deliveries", func(rows Rows) error {
		d, err := scanDelivery(rows)
		ds = append(ds, d)
		return err
	}, "SELECT "+deliveryColumns+" FROM rekey_deliveries WHERE run = $1 ORDER BY created_at, id", run)
	return ds, err
}

// ClaimDelivery implements ledger.Tx.
func (t *Tx) ClaimDelivery(ctx context.Context, id, replica string) (d ledger.Delivery, err error) {
	found, err := t.one(ctx, "claiming delivery", func(rows Rows) error {
		d, err = scanDelivery(rows)
		return err
	}, t.claim("rekey_deliveries")+deliveryColumns, id, replica)
	if err == nil && !found {
		err = t.refused(ctx, "claiming delivery", "rekey_deliveries", id, ledger.ErrHeld)
	}
	return d, err
}

// UpdateDelivery implements ledger.Tx.
func (t *Tx) UpdateDelivery(ctx context.Context, d *ledger.Delivery) error {
	found, err := t.one(ctx, "updating delivery", func(rows Rows) error {
		return rows.Scan(&d.Wanted)
	}, `UPDATE rekey_deliveries SET token = $4, ref = $5, sent = $6, attempts = $7, last_error = $8, sent_at = $9
		WHERE id = $1 AND fence = $2 AND holder = $3 RETURNING wanted`,
		d.ID, d.Fence, d.Holder, d.Token, d.Ref, d.Sent, int64(d.Attempts), d.LastError, micros(d.SentAt))
	if err == nil && !found {
		err = t.refused(ctx, "updating delivery", "rekey_deliveries", d.ID, ledger.ErrFenced)
	}
	return err
}

// ReleaseDelivery implements ledger.Tx.
func (t *Tx) ReleaseDelivery(ctx context.Context, id, replica string, fence int64) error {
	return t.release(ctx, "releasing delivery", "rekey_deliveries", id, replica, fence)
}

func scanDelivery(rows Rows) (d ledger.Delivery, err error) {
	var attempts, createdAt, sentAt int64
	err = rows.Scan(&d.ID, &d.Run, &d.Kind, &d.Subject, &d.Token, &d.Ref, &d.Wanted, &d.Sent, &attempts, &d.LastError,
		&d.Holder, &d.Fence, &createdAt, &sentAt)
	d.Attempts, d.CreatedAt, d.SentAt = int(attempts), timeOf(createdAt), timeOf(sentAt)
	return d, err
}
