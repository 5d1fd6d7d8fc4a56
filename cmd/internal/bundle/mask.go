package bundle

import (
	"bytes"
	"strings"
)

// A log holds what a visitor sent as it was sent, so a value may stand there escaped as
// addresses are (%41) or as nginx writes bytes (\x41), even twice over. The guard knows a
// value's usual forms; these it cannot know, as each byte may be written in three ways.

// wholeLine stands where a line holds a value that cannot be cut out.
const wholeLine = "[redacted: this line holds a value in an escaped form]"

// maxUnescape is how many layers of escapes are looked behind.
const maxUnescape = 3

// mask answers b with known values replaced, escaped ones too.
func mask(b []byte, scrub func([]byte) ([]byte, int)) (clean []byte, found int) {
	clean, found = scrub(b)
	if !escaped(clean) {
		return clean, found
	}
	var out []byte
	for rest := clean; len(rest) > 0; {
		n := bytes.IndexAny(rest, " \t\"'&=?;,<>()[]{}|")
		word := rest
		if n >= 0 {
			word = rest[:n]
		}
		if holdsEscaped(word, scrub) {
			out = append(out, "[redacted]"...)
			found++
		} else {
			out = append(out, word...)
		}
		rest = rest[len(word):]
		if len(rest) > 0 {
			out, rest = append(out, rest[0]), rest[1:]
		}
	}
	if holdsEscaped(out, scrub) {
		return []byte(wholeLine), found + 1
	}
	return out, found
}

func escaped(b []byte) bool { return bytes.IndexByte(b, '%') >= 0 || bytes.Contains(b, []byte(`\x`)) }

// holdsEscaped reports whether b holds a value behind escapes.
func holdsEscaped(b []byte, scrub func([]byte) ([]byte, int)) bool {
	for range maxUnescape {
		if !escaped(b) {
			return false
		}
		b = unescape(b)
		if _, found := scrub(b); found > 0 {
			return true
		}
	}
	return false
}

// unescape undoes one layer of %41 and \x41; what is neither stays.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		from := i
		switch {
		case b[i] == '%':
			i++
		case b[i] == '\\' && i+1 < len(b) && b[i+1] == 'x':
			i += 2
		default:
			out = append(out, b[i])
			continue
		}
		if i+1 < len(b) {
			hi, lo := strings.IndexByte(digits, b[i]), strings.IndexByte(digits, b[i+1])
			if hi >= 0 && lo >= 0 {
				out = append(out, byte(digit(hi)<<4|digit(lo)))
				i++
				continue
			}
		}
		i = from
		out = append(out, b[i])
	}
	return out
}

const digits = "0123456789abcdefABCDEF"

// digit is what a place in digits is worth.
func digit(at int) int {
	if at >= 16 {
		return at - 6
	}
	return at
}
