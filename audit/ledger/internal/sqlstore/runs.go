package sqlstore

import (
	"context"
	"fmt"
	"strconv"

	"rekey/audit/ledger"
)

const runColumns = `id, kind, secret, environment, mode, reason, actor, reply_to, incident, paged,
	state, problem, since, wake_at, report, memo, holder, fence, version, created_at, started_at, ended_at, asked, batch, turn`

// unfinished is the condition of the partial unique index over runs; keep the two
// the same, or the index is not used.
const unfinished = "state NOT IN ('succeeded', 'rolled_back', 'failed')"

// InsertRun implements ledger.Tx. It asks the index by ON CONFLICT: a violation
// would end the caller's transaction on PostgreSQL, and callers want to record the
// refusal in it.
func (t *Tx) InsertRun(ctx context.Context, r ledger.Run) error {
	n, err := t.exec(ctx, "recording run", "INSERT INTO rekey_runs ("+runColumns+`) VALUES
		($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
		ON CONFLICT DO NOTHING`,
		r.ID, r.Kind, r.Secret, r.Environment, r.Mode, r.Reason, r.Actor, r.ReplyTo, r.Incident, bit(r.Paged),
		string(r.State), r.Problem, micros(r.Since), micros(r.WakeAt), blob(r.Report), blob(r.Memo),
		r.Holder, r.Fence, r.Version, micros(r.CreatedAt), micros(r.StartedAt), micros(r.EndedAt),
		string(r.Asked), r.Batch, r.Turn)
	if err != nil || n == 1 {
		return err
	}
	known, err := t.exists(ctx, "rekey_runs", r.ID)
	if err != nil {
		return err
	}
	if known {
		return fmt.Errorf("recording run %s: %w", r.ID, ledger.ErrDuplicate)
	}
	return fmt.Errorf("rotating %s/%s: %w", r.Environment, r.Secret, ledger.ErrBusy)
}

// Run implements ledger.Tx.
func (t *Tx) Run(ctx context.Context, id string) (r ledger.Run, err error) {
	found, err := t.one(ctx, "finding run", func(rows Rows) error {
		r, err = scanRun(rows)
		return err
	}, "SELECT "+runColumns+" FROM rekey_runs WHERE id = $1", id)
	if err == nil && !found {
		err = fmt.Errorf("run %s: %w", id, ledger.ErrNotFound)
	}
	return r, err
}

// Runs implements ledger.Tx.
func (t *Tx) Runs(ctx context.Context, f ledger.RunFilter) (rs []ledger.Run, err error) {
	query, args := "SELECT "+runColumns+" FROM rekey_runs WHERE 1 = 1", []any{}
	for _, c := range []struct{ column, value string }{
		{"secret", f.Secret}, {"environment", f.Environment}, {"kind", f.Kind}, {"batch", f.Batch},
	} {
		if c.value != "" {
			args = append(args, c.value)
			query += " AND " + c.column + " = $" + strconv.Itoa(len(args))
		}
	}
	if f.Active {
		query += " AND " + unfinished
	}
	if f.Unresolved {
		query += " AND paged = 1"
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	query += " ORDER BY created_at DESC, id DESC LIMIT " + strconv.Itoa(limit)
	err = t.each(ctx, "listing runs", func(rows Rows) error {
		r, err := scanRun(rows)
		rs = append(rs, r)
		return err
	}, query, args...)
	return rs, err
}

// ClaimRun implements ledger.Tx.
func (t *Tx) ClaimRun(ctx context.Context, id, replica string) (r ledger.Run, err error) {
	found, err := t.one(ctx, "claiming run", func(rows Rows) error {
		r, err = scanRun(rows)
		return err
	}, t.claim("rekey_runs")+runColumns, id, replica)
	if err == nil && !found {
		err = t.refused(ctx, "claiming run", "rekey_runs", id, ledger.ErrHeld)
	}
	return r, err
}

// UpdateRun implements ledger.Tx.
func (t *Tx) UpdateRun(ctx context.Context, r *ledger.Run) error {
	found, err := t.one(ctx, "updating run", func(rows Rows) error {
		return rows.Scan(&r.Version, (*string)(&r.Asked))
	}, `UPDATE rekey_runs SET mode = $4, reason = $5, actor = $6, reply_to = $7, incident = $8, paged = $9,
		state = $10, problem = $11, since = $12, wake_at = $13, report = $14, memo = $15,
		started_at = $16, ended_at = $17, version = version + 1,
		asked = CASE WHEN asked = $18 THEN '' ELSE asked END
		WHERE id = $1 AND fence = $2 AND holder = $3 RETURNING version, asked`,
		r.ID, r.Fence, r.Holder, r.Mode, r.Reason, r.Actor, r.ReplyTo, r.Incident, bit(r.Paged),
		string(r.State), r.Problem, micros(r.Since), micros(r.WakeAt), blob(r.Report), blob(r.Memo),
		micros(r.StartedAt), micros(r.EndedAt), string(r.Granted))
	r.Granted = ""
	if err != nil && t.dialect.Unique(err) {
		return fmt.Errorf("resuming %s/%s: %w", r.Environment, r.Secret, ledger.ErrBusy)
	}
	if err == nil && !found {
		err = t.refused(ctx, "updating run", "rekey_runs", r.ID, ledger.ErrFenced)
	}
	return err
}

// AskRun implements ledger.Tx.
func (t *Tx) AskRun(ctx context.Context, id string, wish ledger.Wish) error {
	n, err := t.exec(ctx, "asking run", "UPDATE rekey_runs SET asked = $2 WHERE id = $1 AND "+unfinished, id, string(wish))
	if err != nil || n == 1 {
		return err
	}
	known, err := t.exists(ctx, "rekey_runs", id)
	switch {
	case err != nil:
		return err
	case known:
		return fmt.Errorf("asking run %s: %w", id, ledger.ErrEnded)
	}
	return fmt.Errorf("asking run %s: %w", id, ledger.ErrNotFound)
}

// ReleaseRun implements ledger.Tx.
func (t *Tx) ReleaseRun(ctx context.Context, id, replica string, fence int64) error {
	return t.release(ctx, "releasing run", "rekey_runs", id, replica, fence)
}

func scanRun(rows Rows) (r ledger.Run, err error) {
	var (
		paged, since, wakeAt, createdAt, startedAt, endedAt int64
		state                                               string
	)
	err = rows.Scan(&r.ID, &r.Kind, &r.Secret, &r.Environment, &r.Mode, &r.Reason, &r.Actor, &r.ReplyTo, &r.Incident, &paged,
		&state, &r.Problem, &since, &wakeAt, &r.Report, &r.Memo, &r.Holder, &r.Fence, &r.Version, &createdAt, &startedAt, &endedAt,
		(*string)(&r.Asked), &r.Batch, &r.Turn)
	if err != nil {
		return r, err
	}
	r.Paged, r.State = paged != 0, ledger.RunState(state)
	r.Report, r.Memo = bytesOf(r.Report), bytesOf(r.Memo)
	r.Since, r.WakeAt = timeOf(since), timeOf(wakeAt)
	r.CreatedAt, r.StartedAt, r.EndedAt = timeOf(createdAt), timeOf(startedAt), timeOf(endedAt)
	return r, nil
}
