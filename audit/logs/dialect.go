package logs

import (
	"bytes"
	"net/netip"
	"time"
)

// dialect is how the lines of one log are understood. It has buffers of its own and is
// not safe for concurrent use.
type dialect struct {
	format  Format
	guard   guards
	clock   clock
	pattern *Pattern
	proxies []netip.Prefix
	needles [][]byte // nil: look at every line
	words   [][]byte // those of them that are words
	scratch fields
	inner   *dialect // for lines inside of lines
	memo    *memo    // nil: nothing is remembered
}

// newDialect answers the dialect of a log that was last written to at latest; zero where
// nobody knows.
func newDialect(format Format, q Query, latest time.Time) *dialect {
	d := &dialect{
		format: format, guard: newGuards(q.Endpoints), pattern: q.Pattern, proxies: q.Proxies,
		clock: clock{zone: q.zone(), latest: latest, window: q.Window}, memo: &memo{},
	}
	d.needles = d.seekable()
	if format == JSON || format == Auto {
		d.inner = &dialect{format: Auto, guard: d.guard, proxies: q.Proxies, clock: d.clock, memo: d.memo}
	}
	return d
}

// dialect is how the file's lines are understood for q.
func (l *File) dialect(q Query) *dialect { return newDialect(l.format, q, l.written) }

// parse judges one line.
func (d *dialect) parse(line []byte) (Record, bool) {
	switch d.format {
	case Access:
		r, ok := parseAccess(line, d.guard, d.clock.zone)
		if ok {
			r = d.through(r, line)
		}
		return r, ok
	case Django:
		return d.parseDjango(line)
	case Security:
		return d.parseSecurity(line)
	}
	body, at := d.body(line)
	var r Record
	ok := false
	switch d.looks(body) {
	case likeFields:
		r, ok = d.scratch.record()
	case likeAccess:
		if r, ok = parseAccess(body, d.guard, d.clock.zone); ok {
			r = d.through(r, body)
		}
	case likeText:
		if r, ok = d.parseError(body); !ok {
			return d.parseDjango(line)
		}
	}
	if ok && r.At.IsZero() {
		r.At = at
	}
	return r, ok
}

// body is the line without what a log daemon wrote before it. A pattern is about the
// whole line.
func (d *dialect) body(line []byte) ([]byte, time.Time) {
	if d.format == Custom {
		return line, time.Time{}
	}
	return header(line, d.clock)
}

// likeness is what a line looks like.
type likeness uint8

const (
	likeNothing likeness = iota
	likeText
	likeAccess
	likeFields // which are read
)

// looks tells a line by how it begins, and reads its fields where it has them.
func (d *dialect) looks(body []byte) likeness {
	switch {
	case d.format == Custom:
		if f := d.fields(); d.pattern.read(f, body) {
			return likeFields
		}
	case d.format != Logfmt && opensJSON(body):
		d.fields().readJSON(body)
		return likeFields
	case d.format == Logfmt:
		if d.fields().readLogfmt(body) > 0 {
			return likeFields
		}
	case d.format == JSON:
	case opensAccess(body):
		return likeAccess
	case opensLogfmt(body) && d.fields().readLogfmt(body) > 1 && d.scratch.seen > 0:
		return likeFields
	case len(body) > 0:
		return likeText
	}
	return likeNothing
}

// opensAccess reports whether a line begins as an access log's: an address, or "-" where
// there is none, the name that nobody asks for any more, and the time right before the
// first quote. What stands between is the user's name, which the visitor chose.
//
//	203.0.113.66 - bob [22/Nov/2026:19:35:18 +0000] "…
func opensAccess(line []byte) bool {
	addr, rest, ok := bytes.Cut(line[:min(len(line), 64)], []byte(" "))
	if !ok || len(rest) == 0 || rest[0] == '[' && string(addr) == "-" ||
		!parseAddr(addr).IsValid() && string(addr) != "-" && string(addr) != "unix:" {
		return false
	}
	open := quote(line, 0)
	if open < 0 {
		return false
	}
	head := bytes.TrimRight(line[:open], " ")
	from := bytes.LastIndexByte(head, '[')
	return from >= 0 && head[len(head)-1] == ']' && len(head) >= from+21 && head[from+3] == '/' && head[from+7] == '/' && head[from+12] == ':'
}

// stamp is the time a line carries. An access log's stands right before the request: what
// is further left is the visitor's user name.
func (d *dialect) stamp(line []byte) (time.Time, bool) {
	switch d.format {
	case Access:
		open := quote(line, 0)
		if open < 0 {
			return time.Time{}, false
		}
		return (*memo)(nil).bracketed(line[:open], d.clock.zone)
	case Django, Security:
		return stamp(line, d.clock)
	}
	body, at := d.body(line)
	switch d.looks(body) {
	case likeFields:
		if t := d.scratch.time; !t.IsZero() {
			return t, true
		}
	case likeAccess:
		if t, ok := (*memo)(nil).bracketed(body[:quote(body, 0)], d.clock.zone); ok {
			return t, true
		}
	case likeText:
		return stamp(line, d.clock)
	case likeNothing:
		// A pattern of refusals alone leaves most lines out.
		if d.format == Custom && d.pattern.refuses() {
			return stamp(line, d.clock)
		}
	}
	return at, !at.IsZero()
}
