package logs

import (
	"fmt"
	"time"
)

// Parser judges single lines, for sources that hand out lines instead of bytes at an
// offset: a log server, a journal. It is not safe for concurrent use.
type Parser struct {
	parse func(line []byte, g guards, zone *time.Location) (Record, bool)
	guard guards
	query Query
}

// NewParser answers a parser of lines in format. The error names a format there is none of.
func NewParser(format Format, q Query) (*Parser, error) {
	p := &Parser{guard: newGuards(q.Endpoints), query: q}
	switch format {
	case Access:
		p.parse = parseAccess
	case Django:
		p.parse = parseDjango
	case Security:
		p.parse = parseSecurity
	default:
		return nil, fmt.Errorf("unknown format %q", format)
	}
	return p, nil
}

// Parse is the evidence that line holds. A line without a time of its own has that of
// its source, at; a zero at means that the source tells none. ok is false where there is
// no evidence in the line, or none in the query's window.
func (p *Parser) Parse(line []byte, at time.Time) (r Record, ok bool) {
	r, ok = p.parse(trimLine(line, maxLine), p.guard, p.query.zone())
	if !ok {
		return Record{}, false
	}
	if r.At.IsZero() {
		r.At = at
	}
	return r, !r.At.IsZero() && p.query.holds(r.At)
}
