package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"rekey/audit/ledger"
)

// postgresQueue is River on PostgreSQL. New wake-ups are announced by LISTEN/NOTIFY;
// those due later are found by polling.
//
// The SQL on river_job below is written against the schema of River v0.49.0, which
// go.mod pins.
type postgresQueue struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
}

func openPostgres(pool *pgxpool.Pool, cfg Config, process string, w workers) (queue, error) {
	rc, err := riverConfig(cfg, process, w)
	if err != nil {
		return nil, err
	}
	rc.FetchPollInterval = 50 * time.Millisecond
	client, err := river.NewClient(riverpgxv5.New(pool), rc)
	if err != nil {
		return nil, err
	}
	return &postgresQueue{pool, client}, nil
}

// migrateLock is the advisory lock that lets one process at a time migrate; the number
// is "rekey" in ASCII.
const migrateLock = 0x72656b6579

func (q *postgresQueue) migrate(ctx context.Context) error {
	// The lock belongs to a transaction of its own, so that it is given back whatever
	// happens; the migrations cannot share it, because one of them adds a value to an
	// enum and the next uses it.
	return pgx.BeginFunc(ctx, q.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, migrateLock); err != nil {
			return err
		}
		m, err := rivermigrate.New(riverpgxv5.New(q.pool), &rivermigrate.Config{Logger: quiet})
		if err != nil {
			return err
		}
		_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	})
}

func (q *postgresQueue) start(ctx context.Context) error { return q.client.Start(ctx) }
func (q *postgresQueue) stop(ctx context.Context) error  { return q.client.Stop(ctx) }
func (q *postgresQueue) kill(ctx context.Context) error  { return q.client.StopAndCancel(ctx) }

func pgxTx(tx ledger.Tx) (pgx.Tx, error) {
	p, ok := tx.(interface{ Pgx() pgx.Tx })
	if !ok {
		return nil, fmt.Errorf("jobs: a transaction of type %T offers no Pgx()", tx)
	}
	return p.Pgx(), nil
}

func (q *postgresQueue) insert(ctx context.Context, tx ledger.Tx, w wake, at time.Time) error {
	p, err := pgxTx(tx)
	if err != nil {
		return err
	}
	args, opts, err := w.job(at)
	if err != nil {
		return err
	}
	res, err := q.client.InsertTx(ctx, p, args, opts)
	if err != nil || at.IsZero() {
		return err
	}
	// River promotes what it calls scheduled every 5 s, and only while it has a leader.
	// Its fetch takes available jobs whose time has come, so we say available at once,
	// as River itself does for short retries: due to the poll interval, leader or not.
	_, err = p.Exec(ctx, `UPDATE river_job SET state = 'available' WHERE id = $1`, res.Job.ID)
	return err
}

func (q *postgresQueue) reclaim(ctx context.Context, tx ledger.Tx, living []string) ([]wake, error) {
	return pgWakes(ctx, tx, `
		UPDATE river_job SET state = 'cancelled', finalized_at = clock_timestamp()
		WHERE state = 'running'
		  AND NOT (coalesce(attempted_by[array_upper(attempted_by, 1)], '') = ANY ($1))
		RETURNING kind, args->>'id'`, living)
}

func (q *postgresQueue) pending(ctx context.Context, tx ledger.Tx) (map[wake]bool, error) {
	ws, err := pgWakes(ctx, tx, `
		SELECT kind, args->>'id' FROM river_job
		WHERE state IN ('available', 'scheduled', 'retryable')
		   OR state = 'running' AND attempted_at > clock_timestamp() - make_interval(secs => $1)`,
		freshFor.Seconds())
	return setOf(ws), err
}

func (q *postgresQueue) idle(ctx context.Context, tx ledger.Tx) ([]wake, error) {
	return pgWakes(ctx, tx, idleDeliveries)
}

func pgWakes(ctx context.Context, tx ledger.Tx, query string, args ...any) ([]wake, error) {
	p, err := pgxTx(tx)
	if err != nil {
		return nil, err
	}
	rows, err := p.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (wake, error) {
		var w wake
		err := row.Scan(&w.kind, &w.id)
		return w, err
	})
}
