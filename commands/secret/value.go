// Package secret holds the catalogue's types, the Value that never prints itself,
// the generators of new values, and the fingerprints by which an outbound guard
// recognises a value it does not know.
package secret

import (
	"crypto/subtle"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a Value prints as, under every verb and encoder.
const redacted = "[redacted]"

// ErrNotStorable is what a Value answers to a database driver and to every
// decoder: values live in stores, never in the database or in a document.
var ErrNotStorable = errors.New("a secret value is never kept in the database or read from a document")

// Value is a secret. It prints as [redacted] under every fmt verb and every
// encoder; Reveal is the only way to its bytes, so that a grep for Reveal finds
// every place a value can leave from. The zero Value is "no value".
//
// Values are immutable and safe for concurrent use. Compare them with Equal: ==
// asks whether two Values came from one NewValue, not whether they say the same.
type Value struct{ sealed *sealed }

// sealed keeps the bytes behind a function because printers that walk fields by
// reflection (go-cmp's reports, deep dumpers) follow pointers into strings, but
// show nothing of a function except its address.
type sealed struct{ open func() string }

// NewValue wraps s. An empty s is the zero Value.
func NewValue(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{sealed: &sealed{open: func() string { return s }}}
}

// Reveal answers the value itself, "" for the zero Value.
func (v Value) Reveal() string {
	if v.sealed == nil {
		return ""
	}
	return v.sealed.open()
}

// IsZero reports whether there is no value.
func (v Value) IsZero() bool { return v.sealed == nil }

// Len answers the value's length in bytes.
func (v Value) Len() int { return len(v.Reveal()) }

// Equal compares in time that depends on the lengths alone.
func (v Value) Equal(o Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(o.Reveal())) == 1
}

// String answers "[redacted]".
func (Value) String() string { return redacted }

// GoString answers "[redacted]".
func (Value) GoString() string { return redacted }

// Format writes "[redacted]" under every verb, flag and width.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue answers "[redacted]" to slog.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON answers "[redacted]".
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText answers "[redacted]"; XML, TOML and map keys in JSON come this way.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// AppendText appends "[redacted]".
func (Value) AppendText(b []byte) ([]byte, error) { return append(b, redacted...), nil }

// MarshalBinary answers "[redacted]".
func (Value) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// GobEncode answers "[redacted]".
func (Value) GobEncode() ([]byte, error) { return []byte(redacted), nil }

// MarshalYAML answers "[redacted]".
func (Value) MarshalYAML() (any, error) { return redacted, nil }

// Value refuses to be a query argument: ErrNotStorable.
func (Value) Value() (driver.Value, error) { return nil, ErrNotStorable }

// UnmarshalText refuses: what was written is "[redacted]", and reading that back
// as a value would be worse than an error. ErrNotStorable.
func (*Value) UnmarshalText([]byte) error { return ErrNotStorable }

// UnmarshalJSON refuses as UnmarshalText.
func (*Value) UnmarshalJSON([]byte) error { return ErrNotStorable }

// UnmarshalBinary refuses as UnmarshalText.
func (*Value) UnmarshalBinary([]byte) error { return ErrNotStorable }

// GobDecode refuses as UnmarshalText.
func (*Value) GobDecode([]byte) error { return ErrNotStorable }

// Scan refuses to be filled from a row: ErrNotStorable.
func (*Value) Scan(any) error { return ErrNotStorable }
