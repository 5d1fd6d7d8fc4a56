package ledger

import (
	"errors"
	"fmt"
	"log/slog"
)

// KeySize is the length of a Key in bytes.
const KeySize = 32

const redacted = "[redacted]"

// Key authenticates the chain: without it nobody can write an entry that Verify
// accepts, not even with full access to the database. It prints as [redacted]
// under every fmt verb and every encoder. The zero Key is "no key" and is refused
// by every store.
//
// It is a pointer to a pointer because fmt, which cannot call the methods of an
// unexported field, follows one pointer to an array under a verb that is wrong for it.
type Key struct{ b **[KeySize]byte }

// NewKey copies b, which must be 32 bytes that nobody can guess.
func NewKey(b []byte) (Key, error) {
	if len(b) != KeySize {
		return Key{}, fmt.Errorf("the ledger's key must be %d bytes, not %d", KeySize, len(b))
	}
	own := [KeySize]byte(b)
	if own == ([KeySize]byte{}) {
		return Key{}, errors.New("the ledger's key is all zeros")
	}
	p := &own
	return Key{b: &p}, nil
}

// IsZero reports whether k is no key at all.
func (k Key) IsZero() bool { return k.b == nil }

// String answers [redacted].
func (k Key) String() string { return redacted }

// Format writes [redacted] whatever the verb, so that %x and %d show nothing either.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText answers [redacted].
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue answers [redacted].
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }
