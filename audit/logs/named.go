package logs

import (
	"bytes"
	"time"
)

// afterPriority is s without the priority that syslog's wire format begins with: <34>.
func afterPriority(s []byte) []byte {
	if len(s) > 0 && s[0] == '<' {
		if i := bytes.IndexByte(s[:min(len(s), 5)], '>'); i > 1 {
			return s[i+1:]
		}
	}
	return s
}

// parseNamed reads the layouts that begin with the name of a month or a weekday, and its
// length: Nov 22 19:35:18 (RFC 3164, no year), Sun Nov 22 19:35:18.123456 2026 (asctime),
// Sun, 22 Nov 2026 19:35:18 GMT (RFC 1123), the first two also in brackets.
func parseNamed(s []byte, c clock) (at time.Time, length int, ok bool) {
	whole := len(s)
	if len(s) > 0 && s[0] == '[' {
		s = s[1:]
	}
	if len(s) > 4 && weekday(s[:3]) {
		if s[3] == ',' {
			return parseRFC1123(s, c, whole)
		}
		if s[3] != ' ' {
			return time.Time{}, 0, false
		}
		s = s[4:]
	}
	if len(s) < 15 || s[3] != ' ' || s[6] != ' ' {
		return time.Time{}, 0, false
	}
	month := monthOf(s[:3])
	day, ok1 := number(bytes.TrimLeft(s[4:6], " "))
	hour, minute, second, ok2 := wallClock(s[7:15])
	if month == 0 || !ok1 || !ok2 {
		return time.Time{}, 0, false
	}
	nanos, n := fraction(s[15:])
	rest := s[15+n:]
	if len(rest) >= 5 && rest[0] == ' ' && (len(rest) == 5 || !isDigit(rest[5]) && rest[5] != '-' && rest[5] != '/') {
		if year, ok := number(rest[1:5]); ok && year > 1970 {
			at, ok = c.date(year, month, day, hour, minute, second, nanos)
			return at, whole - len(rest) + 5, ok
		}
	}
	at, ok = c.yearless(month, day, hour, minute, second, nanos)
	return at, whole - len(rest), ok
}

// parseRFC1123 reads Sun, 22 Nov 2026 19:35:18 GMT, also with an offset.
func parseRFC1123(s []byte, c clock, whole int) (at time.Time, length int, ok bool) {
	if len(s) < 25 || s[4] != ' ' || s[7] != ' ' || s[11] != ' ' || s[16] != ' ' {
		return time.Time{}, 0, false
	}
	month := monthOf(s[8:11])
	day, ok1 := number(s[5:7])
	year, ok2 := number(s[12:16])
	hour, minute, second, ok3 := wallClock(s[17:25])
	if month == 0 || !ok1 || !ok2 || !ok3 {
		return time.Time{}, 0, false
	}
	rest := s[25:]
	if len(rest) > 0 && rest[0] == ' ' {
		if offset, n, ok := parseZone(rest[1:]); ok {
			at, ok = date(year, month, day, hour, minute, second, 0, time.UTC, offset)
			return at, whole - len(rest) + 1 + n, ok
		}
	}
	at, ok = c.date(year, month, day, hour, minute, second, 0)
	return at, whole - len(rest), ok
}

func weekday(s []byte) bool {
	switch string(s) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}
