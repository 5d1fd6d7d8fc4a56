package sqlite_test

import (
	"path/filepath"
	"strings"
	"testing"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/audit/ledger/sqlite"
)

// Guide: emergency/document
func TestTamper(t *testing.T) {
	t.Parallel()
	ledgertest.RunTamper(t, func(t *testing.T) (ledger.Store, func(*testing.T, string)) {
		path := filepath.Join(t.TempDir(), "ledger.db")
		s, db := open(t, path), raw(t, path)
		execute(t, db, `DROP TRIGGER rekey_ledger_no_replace; DROP TRIGGER rekey_ledger_no_update;
			DROP TRIGGER rekey_ledger_no_delete; DROP TRIGGER rekey_head_no_delete`)
		return s, func(t *testing.T, sql string) {
			t.Helper()
			execute(t, db, sql)
		}
	})
}

func TestForeignKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	s := open(t, path)
	foreign, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Key: ledgertest.Key(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = foreign.Close() })
	ledgertest.RunForeignKey(t, s, foreign)
}

// TestOnlyGrows: with the triggers in place not even the owner changes an entry by
// mistake.
func TestOnlyGrows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	s, db := open(t, path), raw(t, path)
	appendOne(t, s)
	for _, sql := range []string{
		"UPDATE rekey_ledger SET why = ''", "DELETE FROM rekey_ledger", "DELETE FROM rekey_head",
		"INSERT OR REPLACE INTO rekey_ledger SELECT * FROM rekey_ledger",
	} {
		if _, err := db.ExecContext(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "only grows") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	verify(t, s, 1)
}
