package postgres_test

import (
	"context"
	"strings"
	"testing"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/audit/ledger/postgres"
)

// Guide: emergency/document
func TestTamper(t *testing.T) {
	t.Parallel()
	schema := schemas(t)
	ledgertest.RunTamper(t, func(t *testing.T) (ledger.Store, func(*testing.T, string)) {
		url := schema(t)
		s, conn := open(t, url), connect(t, url)
		exec(t, conn, "ALTER TABLE rekey_ledger DISABLE TRIGGER ALL; ALTER TABLE rekey_head DISABLE TRIGGER ALL")
		return s, func(t *testing.T, sql string) {
			t.Helper()
			exec(t, conn, strings.ReplaceAll(sql, "BLOB", "BYTEA"))
		}
	})
}

func TestForeignKey(t *testing.T) {
	t.Parallel()
	url := ledgertest.Postgres(t)
	s := open(t, url)
	foreign, err := postgres.Open(t.Context(), postgres.Config{URL: url, Key: ledgertest.Key(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = foreign.Close() })
	ledgertest.RunForeignKey(t, s, foreign)
}

// TestDuplicate: the index was dropped first, so that one number is there twice.
func TestDuplicate(t *testing.T) {
	t.Parallel()
	url := ledgertest.Postgres(t)
	s, conn := open(t, url), connect(t, url)
	if err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		for range 5 {
			if err := tx.Append(ctx, &ledger.Entry{}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, `ALTER TABLE rekey_ledger DROP CONSTRAINT rekey_ledger_pkey;
		INSERT INTO rekey_ledger SELECT * FROM rekey_ledger WHERE seq = 4`)
	v, err := s.Verify(t.Context())
	if err != nil || v.OK || v.BadSeq != 4 || !strings.HasPrefix(v.Problem, "entry 4 is there twice") {
		t.Errorf("Verify: %+v, %v", v, err)
	}
}

// TestOnlyGrows: with the triggers in place not even the owner changes an entry by
// mistake.
func TestOnlyGrows(t *testing.T) {
	t.Parallel()
	url := ledgertest.Postgres(t)
	s, conn := open(t, url), connect(t, url)
	for _, sql := range []string{
		"UPDATE rekey_ledger SET why = ''", "DELETE FROM rekey_ledger", "TRUNCATE rekey_ledger",
		"DELETE FROM rekey_head", "TRUNCATE rekey_head",
		"SET session_replication_role = replica; DELETE FROM rekey_ledger",
	} {
		if _, err := conn.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "only grows") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	verify(t, s, 0)
}
