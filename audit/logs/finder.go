package logs

import (
	"bytes"
)

// finder finds the records in a stretch of lines: bytes in, records out, wherever the
// bytes were read. It remembers what repeats from line to line, so that each worker
// has its own; it is not safe for concurrent use.
type finder struct {
	dialect *dialect
	query   Query
	limit   int // bytes of a line that are looked at
	access  accessLines
	// needles are those of the dialect.
	needles needles

	data   []byte // whole lines
	origin int64  // the offset of data[0] in the file
	end    int    // lines beginning at or after data[end] are not asked for

	// ahead finds the nearest line with a time above data.
	ahead func() timed
	// The line above which the last time was sought, and what was found: see above.
	soughtAt int
	soughtIs timed
	sought   bool
}

// found is what stretches of lines hold.
type found struct {
	records  []Record
	lines    int64
	bytes    int64
	timeless int64
}

func newFinder(d *dialect, q Query, limit int, ahead func() timed) finder {
	f := finder{dialect: d, query: q, limit: limit, ahead: ahead}
	switch {
	case d.format == Access:
		f.access = accessLines{guard: d.guard, zone: d.clock.zone, memo: &memo{}}
	case d.needles != nil:
		f.needles = newNeedles(d.needles)
	}
	return f
}

// set names the next stretch to be searched.
func (f *finder) set(data []byte, end int, origin int64) {
	f.data, f.end, f.origin, f.sought = data, end, origin, false
}

// find appends to out the records of the stretch that lie in the window.
func (f *finder) find(out *found) {
	out.bytes += int64(f.end)
	switch {
	case f.query.Trace != nil:
		f.trace(out)
	case f.dialect.format == Access:
		f.walk(out)
	case f.dialect.needles == nil:
		f.every(out)
	default:
		f.seek(out)
	}
}

// walk judges every line in turn: in an access log evidence is dense and stands at
// a known field, so going there beats searching for digits.
func (f *finder) walk(out *found) {
	for at := 0; at < f.end; {
		line, request, next, ok := f.access.first(f.data[at:], f.limit)
		if ok {
			if r, ok := f.access.record(line, request); ok {
				f.keep(out, f.dialect.through(r, line), at)
			}
		}
		out.lines++
		at += next
	}
}

// seek jumps from needle to needle and judges only the lines that hold one.
func (f *finder) seek(out *found) {
	if f.end == 0 {
		return
	}
	out.lines += int64(bytes.Count(f.data[:f.end], newline))
	if f.data[f.end-1] != '\n' {
		out.lines++
	}
	f.needles.reset(f.data)
	for at := 0; at < f.end; {
		nearest := f.needles.from(at)
		if nearest < 0 {
			return
		}
		start := bytes.LastIndexByte(f.data[at:nearest], '\n') + 1 + at
		if start >= f.end {
			return
		}
		end := len(f.data)
		if i := bytes.IndexByte(f.data[nearest:], '\n'); i >= 0 {
			end = nearest + i
		}
		if r, ok := f.dialect.judge(trimLine(f.data[start:end], f.limit)); ok {
			f.keep(out, r, start)
		}
		at = end + 1
	}
}

// every judges every line in turn, where there is nothing to look for.
func (f *finder) every(out *found) {
	for at := 0; at < f.end; {
		line, next := f.data[at:], len(f.data)
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, next = line[:i], at+i+1
		}
		out.lines++
		if r, ok := f.dialect.parse(trimLine(line, f.limit)); ok {
			f.keep(out, r, at)
		}
		at = next
	}
}

// keep adds a record that lies in the window. One without a time of its own takes
// that of the nearest line above.
func (f *finder) keep(out *found, r Record, at int) {
	r.Offset = f.origin + int64(at)
	if r.At.IsZero() {
		above := f.above(at)
		if !above.ok || r.Offset-above.offset > int64(f.limit) {
			out.timeless++
			return
		}
		r.At = above.at
	}
	if f.query.holds(r.At) {
		out.records = append(out.records, r)
	}
}

// above finds the nearest line with a time above the line at data[at]. The last
// answer is remembered, so that a run of lines without times costs one look each.
func (f *finder) above(at int) timed {
	stop := 0
	if f.sought {
		stop = f.soughtAt
	}
	answer := f.soughtIs
	if !f.sought {
		answer = f.ahead()
	}
	for end := at; end > stop; {
		start := bytes.LastIndexByte(f.data[:end-1], '\n') + 1
		if t, ok := f.dialect.stamp(trimLine(f.data[start:end-1], f.limit)); ok {
			answer = timed{offset: f.origin + int64(start), at: t, ok: true}
			break
		}
		end = start
	}
	f.sought, f.soughtAt, f.soughtIs = true, at, answer
	return answer
}
