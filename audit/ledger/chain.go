package ledger

import "encoding/hex"

// Hash links an entry to the one before it.
type Hash [32]byte

// String prints the hash as 64 hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }
