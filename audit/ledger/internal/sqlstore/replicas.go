package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rekey/audit/ledger"
)

// tombstones is how long a replica that was declared gone is remembered, so that a
// process that was paused for long cannot come back under its old name.
const tombstones = 30 * 24 * time.Hour

// Beat implements ledger.Tx.
func (t *Tx) Beat(ctx context.Context, r ledger.Replica, lease time.Duration) error {
	now := t.dialect.Clock()
	n, err := t.exec(ctx, "renewing lease", `INSERT INTO rekey_replicas (id, host, pid, seen, lease_until, gone_at)
		VALUES ($1, $2, $3, `+now+", "+now+` + $4, 0)
		ON CONFLICT (id) DO UPDATE SET host = excluded.host, pid = excluded.pid, seen = excluded.seen,
			lease_until = excluded.lease_until WHERE rekey_replicas.gone_at = 0`,
		r.ID, r.Host, int64(r.PID), lease.Microseconds())
	if err == nil && n == 0 {
		err = fmt.Errorf("renewing lease of %s: %w", r.ID, ledger.ErrFenced)
	}
	return err
}

// Bury implements ledger.Tx. Every UPDATE takes the rows' locks and looks at them
// again once it has them, so of two replicas that bury at once one gets each orphan.
func (t *Tx) Bury(ctx context.Context, dead ...string) (o ledger.Orphans, err error) {
	now := t.dialect.Clock()
	query, args := "lease_until <= "+now, []any{}
	if len(dead) > 0 {
		var in []string
		for _, id := range dead {
			args = append(args, id)
			in = append(in, "$"+strconv.Itoa(len(args)))
		}
		query += " OR id IN (" + strings.Join(in, ", ") + ")"
	}
	o.Replicas, err = t.ids(ctx, "burying replicas",
		"UPDATE rekey_replicas SET gone_at = "+now+" WHERE gone_at = 0 AND ("+query+") RETURNING id", args...)
	if err != nil {
		return o, err
	}
	if o.Runs, err = t.orphan(ctx, "rekey_runs", unfinished); err != nil {
		return o, err
	}
	if o.Deliveries, err = t.orphan(ctx, "rekey_deliveries", "sent < wanted"); err != nil {
		return o, err
	}
	_, err = t.exec(ctx, "forgetting replicas", "DELETE FROM rekey_replicas WHERE gone_at > 0 AND gone_at < "+now+" - $1",
		tombstones.Microseconds())
	return o, err
}

// orphan takes every row of table from a holder that is not, or no longer, among
// the replicas, and answers those that are unfinished.
func (t *Tx) orphan(ctx context.Context, table, unfinished string) (ids []string, err error) {
	err = t.each(ctx, "taking over from dead replicas", func(rows Rows) error {
		var (
			id   string
			open int64
		)
		if err := rows.Scan(&id, &open); err != nil {
			return err
		}
		if open != 0 {
			ids = append(ids, id)
		}
		return nil
	}, "UPDATE "+table+` SET holder = '', fence = fence + 1
		WHERE holder <> '' AND NOT EXISTS (SELECT 1 FROM rekey_replicas AS r WHERE r.id = `+table+`.holder AND r.gone_at = 0)
		RETURNING id, CASE WHEN `+unfinished+" THEN 1 ELSE 0 END")
	return ids, err
}

// Leave implements ledger.Tx. A replica that was declared gone stays so.
func (t *Tx) Leave(ctx context.Context, replica string) error {
	_, err := t.exec(ctx, "leaving", "DELETE FROM rekey_replicas WHERE id = $1 AND gone_at = 0", replica)
	return err
}

// Replicas implements ledger.Tx.
func (t *Tx) Replicas(ctx context.Context) (rs []ledger.Replica, err error) {
	err = t.each(ctx, "listing replicas", func(rows Rows) error {
		var (
			r         ledger.Replica
			pid, seen int64
		)
		if err := rows.Scan(&r.ID, &r.Host, &pid, &seen); err != nil {
			return err
		}
		r.PID, r.Seen = int(pid), timeOf(seen)
		rs = append(rs, r)
		return nil
	}, "SELECT id, host, pid, seen FROM rekey_replicas WHERE gone_at = 0 AND lease_until > "+t.dialect.Clock()+" ORDER BY id")
	return rs, err
}
