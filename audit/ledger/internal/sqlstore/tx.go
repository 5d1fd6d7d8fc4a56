package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rekey/audit/ledger"
)

var (
	errOver       = errors.New("the transaction is over: it may be used only inside its function")
	errUnreadable = errors.New("the row holds something that rekey never writes")
)

// Tx carries out ledger.Tx on either database.
type Tx struct {
	q        Querier
	dialect  *Dialect
	key      ledger.Key
	readOnly bool

	// broken is the first error of the database. What is done after it would act on
	// half a change (SQLite may have rolled back by itself), so nothing is.
	broken  error
	pending []pending
}

// pending is an entry that waits for its place in the chain.
type pending struct {
	entry  ledger.Entry
	target *ledger.Entry
}

var _ ledger.Tx = (*Tx)(nil)

func (t *Tx) end() {
	if t.broken == nil {
		t.broken = errOver
	}
}

func (t *Tx) exec(ctx context.Context, what, query string, args ...any) (int64, error) {
	if t.broken != nil {
		return 0, t.broken
	}
	if t.readOnly {
		return 0, fmt.Errorf("%s: %w", what, ledger.ErrReadOnly)
	}
	n, err := t.q.Exec(ctx, query, clean(args)...)
	if err != nil {
		return 0, t.fail(what, err)
	}
	return n, nil
}

// each calls scan for every row.
func (t *Tx) each(ctx context.Context, what string, scan func(Rows) error, query string, args ...any) error {
	if t.broken != nil {
		return t.broken
	}
	if t.readOnly && !strings.HasPrefix(query, "SELECT") {
		return fmt.Errorf("%s: %w", what, ledger.ErrReadOnly)
	}
	rows, err := t.q.Query(ctx, query, clean(args)...)
	if err != nil {
		return t.fail(what, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return t.fail(what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return t.fail(what, err)
	}
	return nil
}

// one is each for at most one row.
func (t *Tx) one(ctx context.Context, what string, scan func(Rows) error, query string, args ...any) (found bool, err error) {
	err = t.each(ctx, what, func(r Rows) error {
		found = true
		return scan(r)
	}, query, args...)
	return found, err
}

// ids reads a result of one text column.
func (t *Tx) ids(ctx context.Context, what, query string, args ...any) (ids []string, err error) {
	err = t.each(ctx, what, func(r Rows) error {
		var id string
		if err := r.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
		return nil
	}, query, args...)
	return ids, err
}

func (t *Tx) fail(what string, err error) error {
	t.broken = fmt.Errorf("%s: %w", what, err)
	return t.broken
}

// clean makes every text one that both databases can keep.
func clean(args []any) []any {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = ledger.CleanText(s)
		}
	}
	return args
}
