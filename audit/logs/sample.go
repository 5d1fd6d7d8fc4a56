package logs

import (
	"bytes"
	"errors"
	"time"

	"rekey/audit"
)

// SampleLines is how many lines a source that is no file looks at, to learn what a log
// holds whose format does not say so.
const SampleLines = 200

// Sample does for a source that is no file what survey does for one: it counts what the
// newest lines tell of, whatever the filter would leave out, unless the format says by
// itself what the log holds. newest hands about SampleLines of them to look, in any order;
// its error is a *[Fault]. What could not be learned is a gap: that no request was seen
// would be wrong to say then, and so would be the opposite.
func (l *Lines) Sample(newest func(look func(message []byte, at time.Time)) error) {
	if l.parser.dialect.format.telling() {
		return
	}
	var seen Stats
	err := newest(func(message []byte, at time.Time) {
		for line := range bytes.SplitSeq(message, newline) {
			seen.count(l.parser.Shape(line, at), line)
		}
	})
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
