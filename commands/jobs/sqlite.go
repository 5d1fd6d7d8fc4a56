package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"rekey/audit/ledger"
)

// sqliteQueue is River on SQLite. It polls: River's stand-in for LISTEN polls a table
// of its own at the same pace and adds a row to it for every job.
//
// The SQL on river_job below is written against the schema of River v0.49.0, which
// go.mod pins.
type sqliteQueue struct {
	db     *sql.DB
	client *river.Client[*sql.Tx]
}

func openSQLite(db *sql.DB, cfg Config, process string, w workers) (queue, error) {
	rc, err := riverConfig(cfg, process, w)
	if err != nil {
		return nil, err
	}
	rc.PollOnly = true
	rc.FetchPollInterval = 100 * time.Millisecond
	client, err := river.NewClient(riversqlite.New(db), rc)
	if err != nil {
		return nil, err
	}
	return &sqliteQueue{db, client}, nil
}

func (q *sqliteQueue) migrate(ctx context.Context) error {
	m, err := rivermigrate.New(riversqlite.New(q.db), &rivermigrate.Config{Logger: quiet})
	if err != nil {
		return err
	}
	// Each migration and its version number are one transaction. When the command line
	// and the daemon start at the same moment the slower one finds a table that is
	// already there, looks again, and goes on with what is left.
	for try := 0; ; try++ {
		if _, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil); err == nil || try == 20 {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(ownBackoff.first):
		}
	}
}

func (q *sqliteQueue) start(ctx context.Context) error { return q.client.Start(ctx) }
func (q *sqliteQueue) stop(ctx context.Context) error  { return q.client.Stop(ctx) }
func (q *sqliteQueue) kill(ctx context.Context) error  { return q.client.StopAndCancel(ctx) }

func sqlTx(tx ledger.Tx) (*sql.Tx, error) {
	s, ok := tx.(interface{ SQL() *sql.Tx })
	if !ok {
		return nil, fmt.Errorf("jobs: a transaction of type %T offers no SQL()", tx)
	}
	return s.SQL(), nil
}

func (q *sqliteQueue) insert(ctx context.Context, tx ledger.Tx, w wake, at time.Time) error {
	s, err := sqlTx(tx)
	if err != nil {
		return err
	}
	args, opts, err := w.job(at)
	if err != nil {
		return err
	}
	res, err := q.client.InsertTx(ctx, s, args, opts)
	if err != nil || at.IsZero() {
		return err
	}
	// As on PostgreSQL: available, but not due before its time.
	_, err = s.ExecContext(ctx, `UPDATE river_job SET state = 'available' WHERE id = ?1`, res.Job.ID)
	return err
}

func (q *sqliteQueue) reclaim(ctx context.Context, tx ledger.Tx, living []string) ([]wake, error) {
	names, err := json.Marshal(living)
	if err != nil {
		return nil, err
	}
	return sqlWakes(ctx, tx, `
		UPDATE river_job SET state = 'cancelled', finalized_at = datetime('now', 'subsec')
		WHERE state = 'running'
		  AND coalesce(json_extract(attempted_by, '$[#-1]'), '') NOT IN (SELECT value FROM json_each(?1))
		RETURNING kind, args->>'id'`, string(names))
}

func (q *sqliteQueue) pending(ctx context.Context, tx ledger.Tx) (map[wake]bool, error) {
	ws, err := sqlWakes(ctx, tx, `
		SELECT kind, args->>'id' FROM river_job
		WHERE state IN ('available', 'scheduled', 'retryable')
		   OR state = 'running' AND attempted_at > datetime('now', 'subsec', ?1)`,
		fmt.Sprintf("-%d seconds", int(freshFor.Seconds())))
	return setOf(ws), err
}

func (q *sqliteQueue) idle(ctx context.Context, tx ledger.Tx) ([]wake, error) {
	return sqlWakes(ctx, tx, idleDeliveries)
}

func sqlWakes(ctx context.Context, tx ledger.Tx, query string, args ...any) ([]wake, error) {
	s, err := sqlTx(tx)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ws []wake
	for rows.Next() {
		var w wake
		if err := rows.Scan(&w.kind, &w.id); err != nil {
			return nil, err
		}
		ws = append(ws, w)
	}
	return ws, rows.Err()
}

// idleDeliveries finds the deliveries that should be under way but that nobody holds.
// The ledger lists deliveries by run only, and a run may be long over when its last
// message still waits for Slack to come back.
const idleDeliveries = `SELECT 'deliver', id FROM rekey_deliveries WHERE sent < wanted AND holder = ''`

func setOf(ws []wake) map[wake]bool {
	set := make(map[wake]bool, len(ws))
	for _, w := range ws {
		set[w] = true
	}
	return set
}

// quiet keeps migrations, which River logs one by one, out of the log.
var quiet = slog.New(slog.DiscardHandler)
