package logs

import (
	"bytes"
	"time"
)

// stamped remembers a text with a time of day in it, where nothing in front of that
// changes from text to text: "WARNING 2026-11-22 19:35:18,123 views …", or what stands in
// an access log's brackets.
type stamped struct {
	head     []byte // up to the time of day; empty: nothing is known
	rest     []byte // what follows the time: a zone, or what tells that there is none
	midnight int64  // Unix time
}

// recall finds the time of a text that differs from the newest by its time of day alone.
func (s *stamped) recall(text []byte) (time.Time, bool) {
	if len(s.head) == 0 || !bytes.HasPrefix(text, s.head) {
		return time.Time{}, false
	}
	text = text[len(s.head):]
	seconds, nanos, length, ok := timeOfDay(text)
	if !ok || !bytes.HasPrefix(text[length:], s.rest) {
		return time.Time{}, false
	}
	return time.Unix(s.midnight+seconds, nanos).UTC(), true
}

// learn takes in that a text means at, whose time of day begins at from and whose zone, on
// a clock that is never changed, is told by the rest bytes behind that.
func (s *stamped) learn(text []byte, from, rest int, at time.Time) {
	if from+clockBytes > len(text) {
		return
	}
	seconds, nanos, length, ok := timeOfDay(text[from:])
	behind := from + length
	if ok && nanos == int64(at.Nanosecond()) && behind+rest <= len(text) {
		s.head, s.rest = append(s.head[:0], text[:from]...), append(s.rest[:0], text[behind:behind+rest]...)
		s.midnight = at.Unix() - seconds
	}
}

// timeOfDay reads the clock that s begins with, with its fraction, and the length of both.
func timeOfDay(s []byte) (seconds, nanos int64, length int, ok bool) {
	if len(s) < clockBytes {
		return 0, 0, 0, false
	}
	hour, minute, second, ok := wallClock(s)
	if !ok || hour > 23 || minute > 59 || second > 60 {
		return 0, 0, 0, false
	}
	fractional, length := fraction(s[clockBytes:])
	return int64(hour*3600 + minute*60 + second), int64(fractional), clockBytes + length, true
}

// zoneBytes is how far behind a message's time there may be something that says its zone.
const zoneBytes = 8

// when is the time that the function stamp finds.
func (d *dialect) when(line []byte) (time.Time, bool) {
	// Where clocks are changed, a day's hours are not as far from its midnight as they say.
	if d.memo == nil || d.clock.zone != nil && d.clock.zone != time.UTC {
		return stamp(line, d.clock)
	}
	within := line[:min(len(line), stampReach)]
	if at, ok := d.memo.line.recall(within); ok {
		return at, true
	}
	at, from, ok := stampAt(line, d.clock)
	if ok && from >= 0 && line[from+4] == '-' {
		d.memo.line.learn(within, from+len("2026-11-22 "), zoneBytes, at)
	}
	return at, ok
}
