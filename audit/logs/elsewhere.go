package logs

import (
	"bytes"
	"fmt"
	"time"

	"rekey/audit"
)

// Fault is why a source that is no file could not be read, or not to its end: a sentence
// for people that says what was wrong and what to do. It holds no credential and nothing
// that a server or a visitor wrote, except cleaned.
type Fault struct {
	Why string
	Err error // its cause, for errors.Is; nil where the sentence says it all
}

func (f *Fault) Error() string { return f.Why }

func (f *Fault) Unwrap() error { return f.Err }

const (
	// early and late are how far a server's time of a line may lie before and after the
	// line's own: clocks differ, and shipping takes time. A source asks its server for that
	// much more than the window; the lines' own times decide.
	early = time.Minute
	late  = 10 * time.Minute
	// maxQuote is how much of a line is kept to be shown, in bytes; thousands of records
	// wait in memory at once.
	maxQuote = 4 << 10
)

// Stopped is an error of whoever takes the records. It ends a reading and is no fault of
// the source's, which hands Err back as it is.
type Stopped struct{ Err error }

func (s *Stopped) Error() string { return s.Err.Error() }

func (s *Stopped) Unwrap() error { return s.Err }

// Lines makes records of lines that a server hands out one by one, for sources that cannot
// be asked for a line again. It is not safe for concurrent use.
type Lines struct {
	parser  *Parser
	yield   func(Record) error
	title   string
	taken   int64         // messages
	made    int64         // records
	asked   int64         // those of them that a server wrote of a request
	apart   time.Duration // the most that a line's own time and the server's lay apart
	seen    Stats         // of the sample, its counts alone
	unknown *Gap          // why there is none
}

// NewLines answers a Lines that hands what is evidence to yield. The title is what people
// call the source: `Loki {app="web"}`.
func NewLines(title string, format Format, q Query, yield func(Record) error) (*Lines, error) {
	p, err := NewParser(format, q)
	if err != nil {
		return nil, err
	}
	return &Lines{parser: p, yield: yield, title: title}, nil
}

// Reach is the stretch of its own time that a server has to be asked for, so that no line
// is missed that says itself that it belongs to the window. now ends a window without end.
func (q Query) Reach(now time.Time) (from, to time.Time) {
	to = q.Window.Until
	if to.IsZero() {
		to = now
	}
	return q.Window.Since.Add(-early), to.Add(late)
}

// Take judges one message, line by line: a traceback is one message of several lines. at is
// the server's time of it and place what finds it there again, such as a cursor. The error
// is yield's, as a *[Stopped].
func (l *Lines) Take(message []byte, at time.Time, place string) error {
	l.taken++
	for line := range bytes.SplitSeq(message, newline) {
		r, ok := l.parser.Parse(line, at)
		if !ok {
			continue
		}
		l.apart = max(l.apart, r.At.Sub(at).Abs())
		l.made++
		if r.Recorder == Server {
			l.asked++
		}
		r.Offset = l.made
		r.Line = string(line[:min(len(line), maxQuote)])
		r.Name = l.title + " at " + place
		if err := l.yield(r); err != nil {
			return &Stopped{Err: err}
		}
	}
	return nil
}

// gaps says what the lines themselves tell of being incomplete.
func (l *Lines) gaps() []Gap {
	var list []Gap
	if l.apart > late {
		list = append(list, Gap{
			Why:  fmt.Sprintf("Its lines say times that lie up to %s apart from those it received them at, so lines at the edges of the window may be missing; check the time zone rekey reads logs in, and that lines are shipped without delay.", l.apart.Round(time.Minute)),
			Left: audit.Partial,
		})
	}
	if l.unknown != nil {
		list = append(list, *l.unknown)
	}
	return list
}
