package logs

import (
	"errors"
	"fmt"
	"time"
)

// errNoPattern: a log of the format Custom was asked for without its pattern.
var errNoPattern = errors.New("a log with a pattern of its own needs Query.Pattern")

// Parser judges single lines, for sources that hand out lines instead of bytes at an
// offset: a log server, a journal. It is not safe for concurrent use.
type Parser struct {
	dialect *dialect
	query   Query
}

// NewParser answers a parser of lines in format, for Custom by q.Pattern. The error names
// a format there is none of.
func NewParser(format Format, q Query) (*Parser, error) {
	if !format.Known() {
		return nil, fmt.Errorf("unknown format %q", format)
	}
	if format == Custom && q.Pattern == nil {
		return nil, errNoPattern
	}
	return &Parser{dialect: newDialect(format, q, time.Time{}), query: q}, nil
}

// Parse is the evidence that line holds. A line without a time of its own has that of
// its source, at; a zero at means that the source tells none. ok is false where there is
// no evidence in the line, or none in the query's window.
func (p *Parser) Parse(line []byte, at time.Time) (r Record, ok bool) {
	p.dialect.latest(at)
	r, ok = p.dialect.parse(trimLine(line, maxLine))
	if !ok {
		return Record{}, false
	}
	if r.At.IsZero() {
		r.At = at
	}
	return r, !r.At.IsZero() && p.query.holds(r.At)
}

// Shape says how much of a line is understood, evidence or not; at is as for Parse. By it
// a source learns whether a log whose format does not say so is an access log.
func (p *Parser) Shape(line []byte, at time.Time) Shape {
	p.dialect.latest(at)
	return p.dialect.shape(trimLine(line, maxLine))
}

// latest says when the next line was written, for stamps without a year.
func (d *dialect) latest(at time.Time) {
	d.clock.latest = at
	if d.inner != nil {
		d.inner.clock.latest = at
	}
}
