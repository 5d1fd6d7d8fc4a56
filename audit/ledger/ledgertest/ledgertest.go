// Package ledgertest is what every ledger.Store must pass, and what tests need to
// open one: a key, and a real PostgreSQL server that ends with the test binary.
package ledgertest

import (
	"bytes"
	"testing"

	"rekey/audit/ledger"
)

// Key answers a key for tests. Different seeds give different keys.
func Key(t testing.TB, seed byte) ledger.Key {
	t.Helper()
	k, err := ledger.NewKey(bytes.Repeat([]byte{seed + 1}, ledger.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}
