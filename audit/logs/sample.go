package logs

import (
	"bytes"
	"errors"
	"time"

	"rekey/audit"
)

// How many lines a source that is no file looks at, to learn what a log holds whose format
// does not say so. One that finds less than SampleEnough looks further back.
const (
	SampleLines  = 200
	SampleEnough = 20
)

// Sample does for a source that is no file what survey does for one: it counts what lines
// tell of, whatever the filter would leave out, unless the format says by itself what the
// log holds. newest hands about SampleLines messages to look, the newest before a time, in
// any order; its error is a *[Fault]. It is asked for those before to, the end of what is
// read. Where they tell of no request, as when a program that fails again and again has
// buried them, it is asked for those before from, its beginning, unless there were so few
// that they were among the first already.
//
// What could not be learned is a gap: to say then that no request was seen would be as
// wrong as the opposite.
func (l *Lines) Sample(from, to time.Time, newest func(before time.Time, look func(message []byte, at time.Time)) error) {
	if l.parser.dialect.format.telling() {
		return
	}
	var seen Stats
	messages := 0
	look := func(message []byte, at time.Time) {
		messages++
		for line := range bytes.SplitSeq(message, newline) {
			seen.count(l.parser.Shape(line, at), line)
		}
	}
	err := newest(to, look)
	if err == nil && messages >= SampleEnough && seen.Requests+l.asked == 0 {
		err = newest(from, look)
	}
	var fault *Fault
	switch {
	case errors.As(err, &fault):
		l.unknown = &Gap{Why: "Whether it holds requests is not known, as its newest lines could not be looked at: " + fault.Why, Left: audit.Partial}
	case err != nil:
		l.unknown = &Gap{Why: "Whether it holds requests is not known, as its newest lines could not be looked at; ask again.", Left: audit.Partial}
	case seen.Sampled == 0:
		l.unknown = &Gap{Why: "No line of it was found up to the end of the window, so whether it holds requests is not known; ask again once it has one.", Left: audit.Unseen}
	default:
		l.seen = seen
	}
}

// Tell adds to s what the lines tell: how many messages were taken, what kinds of evidence
// the log was found to hold, and what of it is incomplete.
func (l *Lines) Tell(s *Stats) {
	s.Matched += l.taken
	s.Sampled += l.seen.Sampled
	s.Messages += l.seen.Messages
	s.Requests += l.seen.Requests + l.asked
	s.Gaps = append(s.Gaps, l.gaps()...)
}
