package ledgertest

import (
	"context"
	"strings"
	"testing"

	"rekey/audit/ledger"
)

const columns = "at, actor, action, subject, run, why, result, detail, prev, hash"

// tamperings are what somebody with full access to the database, but without the
// key, can do to a log of ten entries, and what Verify must say.
var tamperings = []struct {
	name    string
	sql     string
	bad     int64
	problem string
}{
	{"edit a text", "UPDATE rekey_ledger SET why = 'all is well' WHERE seq = 4", 4, "entry 4 was edited"},
	{"edit a time", "UPDATE rekey_ledger SET at = at + 1 WHERE seq = 4", 4, "entry 4 was edited"},
	{"edit a detail", `UPDATE rekey_ledger SET detail = '{"mode":"routine"}' WHERE seq = 4`, 4, "entry 4 was edited"},
	{"hide a detail behind its own name", `UPDATE rekey_ledger SET detail = '{"mode":"x","mode":"compromised"}' WHERE seq = 4`, 4, "entry 4 was edited"},
	{"a detail that is none", "UPDATE rekey_ledger SET detail = 'nonsense' WHERE seq = 4", 4, "entry 4 was edited"},
	{"move text to the neighbouring field", "UPDATE rekey_ledger SET actor = actor || action, action = '' WHERE seq = 4", 4, "entry 4 was edited"},
	{"edit a hash", "UPDATE rekey_ledger SET hash = prev WHERE seq = 4", 4, "entry 4 was edited"},
	{"cut a hash", "UPDATE rekey_ledger SET hash = CAST('' AS BLOB) WHERE seq = 4", 4, "entry 4 was edited"},
	{"edit a link", "UPDATE rekey_ledger SET prev = hash WHERE seq = 4", 4, "entry 4 was edited"},
	{"edit the first", "UPDATE rekey_ledger SET why = '' WHERE seq = 1", 1, "entry 1 was edited"},
	{"edit the last", "UPDATE rekey_ledger SET why = '' WHERE seq = 10", 10, "entry 10 was edited"},
	{"edit two", "UPDATE rekey_ledger SET why = '' WHERE seq IN (3, 8)", 3, "entry 3 was edited"},
	{"edit all", "UPDATE rekey_ledger SET why = ''", 1, "entry 1 was edited"},
	{"remove one", "DELETE FROM rekey_ledger WHERE seq = 4", 4, "entry 4 was removed"},
	{"remove several", "DELETE FROM rekey_ledger WHERE seq IN (4, 5, 6, 8)", 4, "entries 4 to 6 were removed"},
	{"remove the first", "DELETE FROM rekey_ledger WHERE seq = 1", 1, "entry 1 was removed"},
	{
		"remove one and close the gap", "DELETE FROM rekey_ledger WHERE seq = 4; UPDATE rekey_ledger SET seq = -seq WHERE seq > 4;" +
			"UPDATE rekey_ledger SET seq = -seq - 1 WHERE seq < 0", 4, "entry 4 was removed: entry 5 stands in its place",
	},
	{
		"insert a forged one", "UPDATE rekey_ledger SET seq = -seq WHERE seq >= 4; UPDATE rekey_ledger SET seq = -seq + 1 WHERE seq < 0;" +
			"INSERT INTO rekey_ledger (seq, " + columns + ") SELECT 4, at, actor, action, subject, run, 'forged', result, detail, prev, hash " +
			"FROM rekey_ledger WHERE seq = 3", 4, "entry 4 was inserted",
	},
	{
		"insert a copy", "UPDATE rekey_ledger SET seq = -seq WHERE seq >= 6; UPDATE rekey_ledger SET seq = -seq + 1 WHERE seq < 0;" +
			"INSERT INTO rekey_ledger (seq, " + columns + ") SELECT 6, " + columns + " FROM rekey_ledger WHERE seq = 3", 6, "entry 6",
	},
	{"insert before the first", "INSERT INTO rekey_ledger (seq, " + columns + ") SELECT 0, " + columns + " FROM rekey_ledger WHERE seq = 1", 0, "entry 0"},
	{
		"append a forged one", "INSERT INTO rekey_ledger (seq, " + columns + ") SELECT 11, at, actor, action, subject, run, why, result, detail, hash, hash " +
			"FROM rekey_ledger WHERE seq = 10", 11, "entry 11 was inserted",
	},
	{
		"swap neighbours", "UPDATE rekey_ledger SET seq = -seq WHERE seq IN (4, 5); UPDATE rekey_ledger SET seq = 9 + seq WHERE seq < 0",
		4, "entry 4 is out of order: entry 5 stands in its place",
	},
	{
		"swap two", "UPDATE rekey_ledger SET seq = -seq WHERE seq IN (4, 8); UPDATE rekey_ledger SET seq = 12 + seq WHERE seq < 0",
		4, "entry 4 is out of order: entry 8 stands in its place",
	},
	{"move one to the end", "UPDATE rekey_ledger SET seq = 11 WHERE seq = 4", 4, "entry 4 is out of order: it stands in the place of entry 11"},
	{"cut off the last", "DELETE FROM rekey_ledger WHERE seq = 10", 10, "entry 10 was removed from the end"},
	{"cut off the tail", "DELETE FROM rekey_ledger WHERE seq > 6", 7, "entries 7 to 10 were removed from the end"},
	{"remove everything", "DELETE FROM rekey_ledger", 1, "entries 1 to 10 were removed"},
	{
		"cut off the tail and set the head back", "DELETE FROM rekey_ledger WHERE seq > 6; UPDATE rekey_head SET seq = 6, " +
			"hash = (SELECT hash FROM rekey_ledger WHERE seq = 6)", 7, "the record of the newest entry was edited",
	},
	{"remove the head", "DELETE FROM rekey_head", 11, "the record of the newest entry was removed"},
	{"remove the log and its head", "DELETE FROM rekey_ledger; DELETE FROM rekey_head", 1, "the record of the newest entry was removed"},
	{"edit the head", "UPDATE rekey_head SET seq = 9", 11, "the record of the newest entry was edited"},
}

// RunTamper is the contract for a log that was tampered with at the level of SQL.
// open answers an empty store and a function that runs statements, separated by
// semicolons, as the owner of the database who has removed all triggers. BLOB may be
// written for the database's type of bytes.
func RunTamper(t *testing.T, open func(t *testing.T) (s ledger.Store, tamper func(t *testing.T, sql string))) {
	for _, c := range tamperings {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, tamper := open(t)
			ten(t, s)
			tamper(t, c.sql)
			v, err := s.Verify(t.Context())
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			if v.OK || v.BadSeq != c.bad || !strings.HasPrefix(v.Problem, c.problem) {
				t.Errorf("Verify: bad entry %d, %q; want %d, %q…", v.BadSeq, v.Problem, c.bad, c.problem)
			}
		})
	}
	t.Run("put an older state back", func(t *testing.T) {
		t.Parallel()
		s, tamper := open(t)
		appendOne(t, s, "first")
		tamper(t, "CREATE TABLE copy AS SELECT * FROM rekey_head")
		ten(t, s)
		back := "UPDATE rekey_head SET seq = (SELECT seq FROM copy), hash = (SELECT hash FROM copy), mac = (SELECT mac FROM copy)"
		tamper(t, back)
		if v, err := s.Verify(t.Context()); err != nil || v.OK || v.BadSeq != 2 {
			t.Errorf("an old head beside a new tail: %+v, %v", v, err)
		}
		anchor := ledger.Anchor{Seq: 11}
		for _, e := range export(t, s, 11) {
			anchor.Hash = e.Hash
		}
		tamper(t, "DELETE FROM rekey_ledger WHERE seq > 1")
		v, err := ledger.VerifyAnchors(t.Context(), s, anchor)
		if err != nil || v.OK || v.BadSeq != 11 || !strings.HasPrefix(v.Problem, "entry 11 was removed") {
			t.Errorf("an old head beside an old tail, against an anchor: %+v, %v", v, err)
		}
	})
	t.Run("nothing is appended to a log whose head does not hold", func(t *testing.T) {
		t.Parallel()
		for _, sql := range []string{"UPDATE rekey_head SET seq = 9", "DELETE FROM rekey_head"} {
			s, tamper := open(t)
			ten(t, s)
			tamper(t, sql)
			err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
				return tx.Append(ctx, &ledger.Entry{Action: "never"})
			})
			wantErr(t, sql, err, ledger.ErrBroken)
			wantErr(t, sql, s.View(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
				_, _, err := tx.Head(ctx)
				return err
			}), ledger.ErrBroken)
			if n := len(export(t, s, 1)); n != 10 {
				t.Errorf("%s: %d entries", sql, n)
			}
		}
	})
}

// RunForeignKey is the contract for a log that is opened with another key: s is an
// empty store under Key(t, 0), foreign the same database under Key(t, 1).
func RunForeignKey(t *testing.T, s, foreign ledger.Store) {
	ten(t, s)
	v, err := foreign.Verify(t.Context())
	if err != nil || v.OK || v.BadSeq != 1 || !strings.Contains(v.Problem, "another key") {
		t.Errorf("Verify: %+v, %v", v, err)
	}
	err = foreign.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		return tx.Append(ctx, &ledger.Entry{Action: "never"})
	})
	wantErr(t, "Update", err, ledger.ErrBroken)
	verified(t, s, 10)
}

func ten(t *testing.T, s ledger.Store) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		for range 10 {
			e := ledger.Entry{
				Actor: "cli:root", Action: "step.done", Subject: "production/REVALIDATE_SECRET", Run: "r-1",
				Why: "found in a CI log", Result: "done", Detail: map[string]string{"mode": "compromised"},
			}
			if err := tx.Append(ctx, &e); err != nil {
				return err
			}
		}
		return nil
	})
}
