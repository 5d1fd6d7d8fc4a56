// Package secret holds the catalogue's types, the Value that never prints itself,
// the generators of new values, and the fingerprints by which an outbound guard
// recognises a value it does not know.
package secret

// redacted is what a Value prints as, under every verb and encoder.
const redacted = "[redacted]"

// Value is a secret. It prints as [redacted] under every fmt verb and every
// encoder; Reveal is the only way to its bytes, so that a grep for Reveal finds
// every place a value can leave from. The zero Value is "no value".
type Value struct{ s *string }

// NewValue wraps s. An empty s is the zero Value.
func NewValue(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{s: &s}
}
