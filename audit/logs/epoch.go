package logs

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// value reads a time that stands alone, as a field's value: every layout of stamp, and
// seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their
// size.
func (c clock) value(s []byte) (time.Time, bool) {
	s = bytes.TrimSpace(s)
	if at, ok := epoch(s); ok {
		return at, true
	}
	if at, _, ok := parseNamed(s, c); ok {
		return at, true
	}
	if len(s) > 0 && s[0] == '[' {
		s = s[1:]
	}
	return parseStamp(s, c)
}

// epoch reads a number since 1970. Numbers before September 2001 are none: durations and
// levels are called "time" and "ts", too.
func epoch(s []byte) (time.Time, bool) {
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	if digits == 0 {
		return time.Time{}, false
	}
	if digits < len(s) && (bytes.IndexByte(s, 'e') > 0 || bytes.IndexByte(s, 'E') > 0) {
		f, err := strconv.ParseFloat(string(s), 64)
		if err != nil || f < 1e9 || f >= 1e11 {
			return time.Time{}, false
		}
		whole, part := math.Modf(f)
		return time.Unix(int64(whole), int64(part*1e9)).UTC(), true
	}
	if digits < 10 || digits > 19 {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(string(s[:digits]), 10, 64)
	nanos, length := fraction(s[digits:])
	if err != nil || digits+length < len(s) || n < 1e9 {
		return time.Time{}, false
	}
	switch {
	case n < 1e11:
		return time.Unix(n, int64(nanos)).UTC(), true
	case n < 1e14:
		return time.UnixMilli(n).Add(time.Duration(nanos / 1000)).UTC(), true
	case n < 1e17:
		return time.UnixMicro(n).UTC(), true
	}
	return time.Unix(0, n).UTC(), true
}
