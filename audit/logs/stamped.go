package logs

import (
	"bytes"
	"time"
)

// stamped remembers how a log's lines begin up to the time of day, where nothing in front
// of it changes from line to line: "WARNING 2026-11-22 19:35:18,123 views …".
type stamped struct {
	head     []byte          // up to the time of day; empty: nothing is known
	rest     [restBytes]byte // what follows the time, a zone or none
	midnight int64           // Unix time, as at says it
}

// restBytes is how far behind a time there may be something that says its zone.
const restBytes = 8

// recall finds the time of a line if it begins as the newest did.
func (s *stamped) recall(line []byte) (time.Time, bool) {
	if len(s.head) == 0 || !bytes.HasPrefix(line, s.head) {
		return time.Time{}, false
	}
	seconds, nanos, rest, ok := timeOfDay(line, len(s.head))
	if !ok || rest != s.rest {
		return time.Time{}, false
	}
	return time.Unix(s.midnight+seconds, nanos).UTC(), true
}

// learn takes in that the stamp at line[from:] says at, on a clock that is never changed.
func (s *stamped) learn(line []byte, from int, at time.Time) {
	clock := from + len("2026-11-22 ")
	if from < 0 || line[from+4] != '-' {
		return
	}
	seconds, nanos, rest, ok := timeOfDay(line, clock)
	if ok && nanos == int64(at.Nanosecond()) {
		s.head, s.rest, s.midnight = append(s.head[:0], line[:clock]...), rest, at.Unix()-seconds
	}
}

// timeOfDay reads the clock at line[from:], and what follows it, which must be within the
// reach of a stamp.
func timeOfDay(line []byte, from int) (seconds, nanos int64, rest [restBytes]byte, ok bool) {
	if from+clockBytes > len(line) {
		return 0, 0, rest, false
	}
	hour, minute, second, ok := wallClock(line[from : from+clockBytes])
	fractional, length := fraction(line[from+clockBytes:])
	behind := from + clockBytes + length
	if !ok || hour > 23 || minute > 59 || second > 60 || behind+restBytes > min(len(line), stampReach) {
		return 0, 0, rest, false
	}
	copy(rest[:], line[behind:])
	return int64(hour*3600 + minute*60 + second), int64(fractional), rest, true
}

// when is the time that the function stamp finds.
func (d *dialect) when(line []byte) (time.Time, bool) {
	steady := d.memo != nil && (d.clock.zone == nil || d.clock.zone == time.UTC)
	if steady {
		if at, ok := d.memo.stamped.recall(line); ok {
			return at, true
		}
	}
	at, from, ok := stampAt(line, d.clock)
	if steady && ok {
		d.memo.stamped.learn(line, from, at)
	}
	return at, ok
}
