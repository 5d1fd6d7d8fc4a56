package ledgertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"rekey/audit/ledger"
)

// Run is the contract every store passes. open answers an empty store under
// Key(t, 0) and closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T) ledger.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s ledger.Store)
	}{
		{"entries", entries},
		{"entries keep any text", anyText},
		{"chain", chain},
		{"concurrent writers make one chain", concurrentWriters},
		{"a neighbour's failure changes nothing", neighbours},
		{"error and panic roll back", rollsBack},
		{"a function that ends its goroutine", goexit},
		{"read-only views", views},
		{"snapshot", snapshot},
		{"deadlines", deadlines},
		{"transaction outlives nothing", outlived},
		{"closed store", closed},
		{"requests", requests},
		{"runs", runs},
		{"runs are listed", listRuns},
		{"one rotation at once", oneRotation},
		{"one rotation at once among many", oneRotationOfMany},
		{"batches", batches},
		{"wishes", wishes},
		{"run fences", runFences},
		{"steps", steps},
		{"deliveries", deliveries},
		{"delivery fences", deliveryFences},
		{"fingerprints", fingerprints},
		{"leases", leases},
		{"bury", bury},
		{"bury at once", buryAtOnce},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// update runs fn and fails the test on any error.
func update(t *testing.T, s ledger.Store, fn func(ctx context.Context, tx ledger.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

// view runs fn and fails the test on any error.
func view(t *testing.T, s ledger.Store, fn func(ctx context.Context, tx ledger.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatalf("View: %v", err)
	}
}

// wantErr fails the test unless err is want.
func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// appendOne adds an entry and answers it with its place.
func appendOne(t *testing.T, s ledger.Store, action string) ledger.Entry {
	t.Helper()
	e := ledger.Entry{Actor: "cli:root", Action: action, Subject: "production/REVALIDATE_SECRET", Result: "done"}
	update(t, s, func(ctx context.Context, tx ledger.Tx) error { return tx.Append(ctx, &e) })
	return e
}

// export answers the whole log.
func export(t *testing.T, s ledger.Store, from int64) (es []ledger.Entry) {
	t.Helper()
	err := s.Export(t.Context(), from, func(e ledger.Entry) error {
		es = append(es, e)
		return nil
	})
	if err != nil {
		t.Fatalf("Export: %v", err)
	}
	return es
}

// verified fails the test unless the chain holds and has n entries.
func verified(t *testing.T, s ledger.Store, n int64) {
	t.Helper()
	v, err := s.Verify(t.Context())
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	if !v.OK || v.Entries != n {
		t.Fatalf("Verify: got %+v, want %d good entries", v, n)
	}
}

// moment is a time with microseconds, in a zone that is not UTC.
var moment = time.Date(2026, 11, 22, 19, 35, 18, 123456789, time.FixedZone("", 3600))

// kept is moment as a store gives it back.
var kept = moment.UTC().Truncate(time.Microsecond)
