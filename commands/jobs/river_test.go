package jobs_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rekey/audit/ledger"
)

const replicaTable = "rekey_replicas"

func pgPool(t testing.TB, store ledger.Store) *pgxpool.Pool {
	t.Helper()
	p, ok := store.(interface{ Pool() *pgxpool.Pool })
	if !ok {
		t.Fatalf("%T has no Pool()", store)
	}
	return p.Pool()
}

// execute runs a statement beside the store.
func execute(t testing.TB, store ledger.Store, statement string) {
	t.Helper()
	var err error
	if s, ok := store.(interface{ DB() *sql.DB }); ok {
		_, err = s.DB().ExecContext(t.Context(), statement)
	} else {
		_, err = pgPool(t, store).Exec(t.Context(), statement)
	}
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// texts answers every row of a query as one text, in whichever database store has.
func texts(t testing.TB, store ledger.Store, query string) []string {
	t.Helper()
	if s, ok := store.(interface{ DB() *sql.DB }); ok {
		rows, err := s.DB().QueryContext(t.Context(), query)
		if err != nil {
			t.Fatalf("asking the database: %v", err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatalf("asking the database: %v", err)
		}
		var all []string
		for rows.Next() {
			values := make([]any, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatalf("reading a row: %v", err)
			}
			all = append(all, render(values))
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("reading rows: %v", err)
		}
		return all
	}
	rows, err := pgPool(t, store).Query(t.Context(), query)
	if err != nil {
		t.Fatalf("asking the database: %v", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		values, err := row.Values()
		return render(values), err
	})
	if err != nil {
		t.Fatalf("reading rows: %v", err)
	}
	return all
}

func render(values []any) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteString(" | ")
		}
		if raw, ok := v.([]byte); ok {
			v = string(raw)
		}
		fmt.Fprint(&b, v)
	}
	return b.String()
}
