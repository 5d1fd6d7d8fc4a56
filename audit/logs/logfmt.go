package logs

import (
	"bytes"
	"strings"
)

// readLogfmt reads key=value pairs, of which values with spaces, quotes or equals signs
// stand in quotes with JSON's escapes, as the writers of logfmt do (go-logfmt, logrus,
// log/slog's TextHandler). Words without a value are passed over. It answers how many
// pairs there were.
//
// A writer that forgets the quotes lets a visitor add pairs of his own: where two say
// different things, fields believes neither.
func (f *fields) readLogfmt(s []byte) (pairs int) {
	for i := 0; i < len(s); {
		if s[i] <= ' ' {
			i++
			continue
		}
		from := i
		for i < len(s) && s[i] > ' ' && s[i] != '=' && s[i] != '"' {
			i++
		}
		key := s[from:i]
		if i < len(s) && s[i] == '"' { // text nobody named
			end := quote(s, i+1)
			if end < 0 {
				return pairs
			}
			i = end + 1
			continue
		}
		if i == len(s) || s[i] != '=' {
			continue
		}
		i++
		var value []byte
		escaped := false
		if i < len(s) && s[i] == '"' {
			end := quote(s, i+1)
			if end < 0 {
				return pairs
			}
			value, i = s[i+1:end], end+1
			escaped = bytes.IndexByte(value, '\\') >= 0
		} else {
			from = i
			for i < len(s) && s[i] > ' ' {
				i++
			}
			value = s[from:i]
		}
		if len(key) > 0 {
			pairs++
			f.member(key, value, escaped, 0)
		}
	}
	return pairs
}

// opensLogfmt reports whether the first word of s is a pair.
func opensLogfmt(s []byte) bool {
	i := 0
	for i < len(s) && (isDigit(s[i]) || s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z' || strings.IndexByte("_.-@", s[i]) >= 0) {
		i++
	}
	return i > 0 && i < len(s) && s[i] == '='
}
