package logs

import (
	"bytes"
	"time"
)

// stampReach is how far into a line a timestamp is looked for: past any level, name
// and process id, but not in a message.
const stampReach = 160

// stamp finds the time a line carries, in any of the layouts of Django's formatters, of
// access logs and of the daemons around them:
//
//	22/Nov/2026:19:35:18 +0000            access logs
//	22/Nov/2026 19:35:18                  django.server, and many LOGGING examples
//	2026-11-22 19:35:18,123               logging's asctime, Celery
//	2026-11-22T19:35:18.123Z              RFC 3339 and ISO 8601, with or without a zone; RFC 5424
//	2026/11/22 19:35:18                   nginx's error log, Go's log
//	Nov 22 19:35:18                       RFC 3164, at the beginning of the line alone
//	[Sun Nov 22 19:35:18.123456 2026]     Apache's error log, there as well
//
// The first that fits wins, since what a visitor writes stands to the right of
// what the server writes. A stamp inside quotes is never one.
func stamp(line []byte, c clock) (time.Time, bool) {
	at, _, ok := stampAt(line, c)
	return at, ok
}

// stampAt says where the stamp begins as well; below 0 for those that stand at the
// beginning of a line alone.
func stampAt(line []byte, c clock) (at time.Time, from int, ok bool) {
	head := line[:min(len(line), stampReach)]
	if q := bytes.IndexByte(head, '"'); q >= 0 {
		head = head[:q]
	}
	if at, _, ok := parseNamed(afterPriority(head), c); ok {
		return at, -1, true
	}
	for i := 0; i+19 <= len(head); i++ {
		d := head[i]
		if d < '0' || d > '9' || i > 0 && isDigit(head[i-1]) {
			continue
		}
		if at, ok := parseStamp(head[i:], c); ok {
			return at, i, true
		}
	}
	return time.Time{}, -1, false
}

// parseStamp reads the stamp at the start of s, which must be long enough for the
// shortest layout with seconds.
func parseStamp(s []byte, c clock) (time.Time, bool) {
	switch {
	case len(s) < 19:
		return time.Time{}, false
	case s[2] == '/' && s[6] == '/':
		return parseCommon(s, c)
	case s[4] == '-' && s[7] == '-', s[4] == '/' && s[7] == '/':
		return parseISO(s, c)
	}
	return time.Time{}, false
}

// parseCommon reads 22/Nov/2026:19:35:18 +0000 and 22/Nov/2026 19:35:18.
func parseCommon(s []byte, c clock) (time.Time, bool) {
	if len(s) < 20 || s[11] != ':' && s[11] != ' ' {
		return time.Time{}, false
	}
	month := monthOf(s[3:6])
	day, ok1 := number(s[0:2])
	year, ok2 := number(s[7:11])
	hour, minute, second, ok3 := wallClock(s[12:20])
	if month == 0 || !ok1 || !ok2 || !ok3 {
		return time.Time{}, false
	}
	rest := s[20:]
	if len(rest) > 0 && rest[0] == ' ' {
		if offset, _, ok := parseZone(rest[1:]); ok {
			return date(year, month, day, hour, minute, second, 0, time.UTC, offset)
		}
	}
	return c.date(year, month, day, hour, minute, second, 0)
}

// parseISO reads 2026-11-22 19:35:18, also with slashes, with an optional fraction after
// a comma or a full stop and an optional zone.
func parseISO(s []byte, c clock) (time.Time, bool) {
	if s[10] != ' ' && s[10] != 'T' && s[10] != 't' {
		return time.Time{}, false
	}
	year, ok1 := number(s[0:4])
	month, ok2 := number(s[5:7])
	day, ok3 := number(s[8:10])
	hour, minute, second, ok4 := wallClock(s[11:19])
	if !ok1 || !ok2 || !ok3 || !ok4 || month < 1 || month > 12 {
		return time.Time{}, false
	}
	nanos, n := fraction(s[19:])
	rest := s[19+n:]
	if len(rest) > 0 && rest[0] == ' ' {
		if offset, n, ok := parseZone(rest[1:]); ok && (n == len(rest)-1 || !isDigit(rest[1+n])) {
			return date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC, offset)
		}
	} else if offset, _, ok := parseZone(rest); ok {
		return date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC, offset)
	}
	return c.date(year, time.Month(month), day, hour, minute, second, nanos)
}

// fraction reads the nanoseconds after a comma or a full stop, and its length; digits
// beyond the ninth are cut.
func fraction(s []byte) (nanos, length int) {
	if len(s) < 2 || s[0] != ',' && s[0] != '.' || !isDigit(s[1]) {
		return 0, 0
	}
	length = 1
	for scale := int(time.Second); length < len(s) && isDigit(s[length]); length++ {
		scale /= 10
		nanos += int(s[length]-'0') * scale
	}
	return nanos, length
}

// parseZone reads Z, UTC, GMT, +01:00 or +0100 as seconds east of UTC, and its length.
func parseZone(s []byte) (seconds, length int, ok bool) {
	if len(s) > 0 && (s[0] == 'Z' || s[0] == 'z') {
		return 0, 1, true
	}
	if len(s) > 2 && (string(s[:3]) == "UTC" || string(s[:3]) == "GMT") {
		return 0, 3, true
	}
	if len(s) < 5 || s[0] != '+' && s[0] != '-' {
		return 0, 0, false
	}
	length = 5
	minutes := s[3:5]
	if s[3] == ':' {
		if len(s) < 6 {
			return 0, 0, false
		}
		minutes, length = s[4:6], 6
	}
	h, ok1 := number(s[1:3])
	m, ok2 := number(minutes)
	if !ok1 || !ok2 || h > 14 || m > 59 {
		return 0, 0, false
	}
	seconds = h*3600 + m*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, length, true
}

// date builds a UTC time and refuses days and hours that do not exist, which
// time.Date would carry over into the next.
func date(year int, month time.Month, day, hour, minute, second, nanos int, zone *time.Location, offset int) (time.Time, bool) {
	if day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 || year < 1970 {
		return time.Time{}, false
	}
	if day > daysIn(year, month) {
		return time.Time{}, false
	}
	if zone == time.UTC {
		seconds := days(year, month, day)*86400 + int64(hour*3600+minute*60+second-offset)
		return time.Unix(seconds, int64(nanos)).UTC(), true
	}
	t := time.Date(year, month, day, hour, minute, second, nanos, zone)
	return t.Add(-time.Duration(offset) * time.Second).UTC(), true
}

// daysIn is how many days a month has.
func daysIn(year int, month time.Month) int {
	switch month {
	case time.April, time.June, time.September, time.November:
		return 30
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// days is how many days after 1970-01-01 a date is, in the proleptic Gregorian calendar.
// Years are counted from March, so that a leap day is the last of its year. Source:
// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
func days(year int, month time.Month, day int) int64 {
	y, m := int64(year), int64(month)
	if m <= 2 {
		y, m = y-1, m+12
	}
	const until1970 = 719468 // from 0000-03-01
	return 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + int64(day) - 1 - until1970
}

// wallClock reads 19:35:18.
func wallClock(s []byte) (hour, minute, second int, ok bool) {
	if s[2] != ':' || s[5] != ':' {
		return 0, 0, 0, false
	}
	h, ok1 := number(s[0:2])
	m, ok2 := number(s[3:5])
	sec, ok3 := number(s[6:8])
	return h, m, sec, ok1 && ok2 && ok3
}

func number(s []byte) (int, bool) {
	n := 0
	for _, c := range s {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(s) > 0
}

func monthOf(s []byte) time.Month {
	switch string(s) {
	case "Jan":
		return time.January
	case "Feb":
		return time.February
	case "Mar":
		return time.March
	case "Apr":
		return time.April
	case "May":
		return time.May
	case "Jun":
		return time.June
	case "Jul":
		return time.July
	case "Aug":
		return time.August
	case "Sep":
		return time.September
	case "Oct":
		return time.October
	case "Nov":
		return time.November
	case "Dec":
		return time.December
	}
	return 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
