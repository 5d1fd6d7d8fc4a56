package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"rekey/audit/ledger"
	"rekey/audit/ledger/internal/sqlstore"
)

const (
	codeBusy       = codes.SQLITE_BUSY
	codeLocked     = codes.SQLITE_LOCKED
	codeIO         = codes.SQLITE_IOERR
	codeUnique     = codes.SQLITE_CONSTRAINT_UNIQUE
	codePrimaryKey = codes.SQLITE_CONSTRAINT_PRIMARYKEY
)

// code answers SQLite's extended result code, -1 when err is no error of SQLite's.
func code(err error) int {
	var e *driver.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return -1
}

// database implements sqlstore.Database.
type database struct {
	write *sql.DB // one connection
	read  *sql.DB
}

// Begin implements sqlstore.Database. database/sql rolls a transaction back behind
// the back of whoever uses it when the ctx it was begun with ends; so that ctx ends
// only while BEGIN waits for the lock.
func (d database) Begin(ctx context.Context) (sqlstore.Transaction, error) {
	begin, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	tx, err := d.write.BeginTx(begin, nil)
	if !stop() && err == nil {
		err = context.Cause(ctx)
		_ = tx.Rollback()
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return &transaction{tx: tx, release: func() { cancel(nil) }}, nil
}

// Snapshot implements sqlstore.Database.
func (d database) Snapshot(ctx context.Context) (sqlstore.Transaction, error) {
	tx, err := d.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	return &transaction{tx: tx, release: func() {}}, nil
}

// Resolve implements sqlstore.Database. SQLite's transactions have no names.
func (d database) Resolve(context.Context, string) sqlstore.Outcome { return sqlstore.InDoubt }

// Close implements sqlstore.Database.
func (d database) Close() error { return errors.Join(d.read.Close(), d.write.Close()) }

// transaction implements sqlstore.Transaction.
type transaction struct {
	tx      *sql.Tx
	release func()
}

func (t *transaction) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := t.tx.ExecContext(ctx, placeholders(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (t *transaction) Query(ctx context.Context, query string, args ...any) (sqlstore.Rows, error) {
	r, err := t.tx.QueryContext(ctx, placeholders(query), args...)
	if err != nil {
		return nil, err
	}
	return rows{r}, nil
}

func (t *transaction) Expose(tx *sqlstore.Tx) ledger.Tx { return &Tx{Tx: tx, tx: t.tx} }

// Alive implements sqlstore.Transaction: there is no connection to lose.
func (t *transaction) Alive() bool { return true }

// Commit implements sqlstore.Transaction. The driver rolls back after every error,
// but after a failed write to disk nobody knows which pages got there.
func (t *transaction) Commit(context.Context) (sqlstore.Outcome, error) {
	err := t.tx.Commit()
	t.release()
	switch {
	case err == nil:
		return sqlstore.Committed, nil
	case code(err)&0xff == codeIO:
		return sqlstore.InDoubt, err
	}
	return sqlstore.Aborted, err
}

func (t *transaction) Rollback() {
	_ = t.tx.Rollback() // fails only where SQLite rolled back by itself
	t.release()
}

// rows adapts *sql.Rows, whose Close answers an error that Err answers too.
type rows struct{ *sql.Rows }

func (r rows) Close() { _ = r.Rows.Close() }

// placeholders turns $1 into SQLite's ?1; no query of ours has a $ elsewhere.
func placeholders(query string) string { return strings.ReplaceAll(query, "$", "?") }
