package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"rekey/audit/ledger"
	"rekey/audit/ledger/internal/sqlstore"
)

const (
	// connectTimeout bounds the wait for a connection, so that an unreachable
	// database is noticed even by callers without a deadline.
	connectTimeout = 5 * time.Second
	// statementTimeout is the server's limit for one statement where no caller has
	// a deadline.
	statementTimeout = 30 * time.Second
	// lockTimeout is how long one statement waits for somebody else's lock before
	// its call is put aside for the others, give or take half of it: two replicas
	// that wait for each other must not give up, and try again, at the same moment.
	// It is below deadlock_timeout (1 s), so that deadlocks end here as well.
	lockTimeout = 300 * time.Millisecond
	// idleTimeout is how long the server lets a transaction of ours wait for its
	// next statement. A process that is paused (SIGSTOP) while it holds the head of
	// the log would otherwise stop every replica.
	idleTimeout = 2 * time.Second
	// readerIdleTimeout is the same for a transaction that only reads. It stops nobody
	// from writing, but a migration and vacuum wait for it. A server that waits for its
	// rows to be taken, as by a pager, is not idle.
	readerIdleTimeout = 5 * time.Second
	// rollbackTimeout bounds a ROLLBACK; past it the connection is closed.
	rollbackTimeout = time.Second
)

// dialect is what PostgreSQL says differently.
var dialect = &sqlstore.Dialect{
	Clock:     func() string { return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)" },
	ForUpdate: " FOR UPDATE",
	Mark:      "coalesce(CAST(pg_current_xact_id_if_assigned() AS TEXT), '')",
	Unique:    func(err error) bool { return hasCode(err, "23505") },
	Transient: func(err error) bool {
		// serialization failure, deadlock, too many connections, starting up
		return hasCode(err, "40001", "40P01", "53300", "57P03")
	},
	Blocked: func(err error) bool { return hasCode(err, "55P03") },
}

func hasCode(err error, codes ...string) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	for _, c := range codes {
		if pg.Code == c {
			return true
		}
	}
	return false
}

// database implements sqlstore.Database.
type database struct{ pool *pgxpool.Pool }

// Begin implements sqlstore.Database. The limits travel in the same round trip.
func (d database) Begin(ctx context.Context) (sqlstore.Transaction, error) {
	limit := statementTimeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, max(time.Until(deadline), 0)+time.Second)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	tx, err := d.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: fmt.Sprintf(
		"begin isolation level read committed; set local statement_timeout = %d; set local lock_timeout = %d; "+
			"set local idle_in_transaction_session_timeout = %d",
		limit.Milliseconds(), (lockTimeout/2 + rand.N(lockTimeout)).Milliseconds(), idleTimeout.Milliseconds())}) //nolint:gosec // jitter is no secret
	if err != nil {
		return nil, err
	}
	return &transaction{tx: tx}, nil
}

// Snapshot implements sqlstore.Database.
func (d database) Snapshot(ctx context.Context) (sqlstore.Transaction, error) {
	tx, err := d.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: fmt.Sprintf(
		"begin isolation level repeatable read read only; set local idle_in_transaction_session_timeout = %d",
		readerIdleTimeout.Milliseconds())})
	if err != nil {
		return nil, err
	}
	return &transaction{tx: tx}, nil
}

// Resolve implements sqlstore.Database: mark is a transaction id of the server's.
func (d database) Resolve(ctx context.Context, mark string) sqlstore.Outcome {
	var status string
	err := d.pool.QueryRow(ctx, "SELECT coalesce(pg_xact_status(CAST($1 AS xid8)), '')", mark).Scan(&status)
	switch {
	case err != nil:
		return sqlstore.InDoubt
	case status == "committed":
		return sqlstore.Committed
	case status == "aborted":
		return sqlstore.Aborted
	}
	return sqlstore.InDoubt
}

// Close implements sqlstore.Database.
func (d database) Close() error {
	d.pool.Close()
	return nil
}

// transaction implements sqlstore.Transaction.
type transaction struct {
	tx   pgx.Tx
	over bool // the connection went back to the pool,
	lost bool // or was lost before that
}

func (t *transaction) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

func (t *transaction) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	rows, err := t.tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func (t *transaction) Expose(tx *sqlstore.Tx) ledger.Tx { return &Tx{Tx: tx, tx: t.tx} }

func (t *transaction) Alive() bool {
	if t.over {
		return !t.lost
	}
	return !t.tx.Conn().IsClosed()
}

// Commit implements sqlstore.Transaction. An error that the server reported without
// ending the session says that it rolled back; anything else leaves it open.
func (t *transaction) Commit(ctx context.Context) (sqlstore.Outcome, error) {
	err := t.tx.Commit(ctx)
	t.over = true
	if err == nil {
		return sqlstore.Committed, nil
	}
	var pg *pgconn.PgError
	if errors.Is(err, pgx.ErrTxCommitRollback) || errors.As(err, &pg) && pg.SeverityUnlocalized == "ERROR" {
		return sqlstore.Aborted, err
	}
	t.lost = true
	return sqlstore.InDoubt, err
}

func (t *transaction) Rollback() {
	t.lost, t.over = !t.Alive(), true
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTimeout)
	defer cancel()
	_ = t.tx.Rollback(ctx) // a failure closes the connection, and the server rolls back
}
