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
	leap    *leap // nil: there is no other way than judging every line

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
	if d.format == Access {
		f.access = accessLines{guard: d.guard, zone: d.clock.zone, memo: d.memo}
	}
	f.leap = newLeap(d)
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
	case f.leap != nil && f.end > 0 && f.leap.ready(f.data[:f.end]):
		f.leaps(out)
	default:
		f.step(out, 0, f.end)
	}
}

// step judges every line from at, where one begins, that begins before until. It answers
// where the next one begins, and how many it judged.
func (f *finder) step(out *found, at, until int) (next, lines int) {
	access := f.dialect.format == Access
	for at < until {
		var r Record
		var length int
		var ok bool
		if access {
			r, length, ok = f.request(f.data[at:])
		} else {
			r, length, ok = f.message(f.data[at:])
		}
		if ok {
			f.keep(out, r, at)
		}
		lines++
		at += length
	}
	out.lines += int64(lines)
	return at, lines
}

// request judges the line of an access log that data begins with.
func (f *finder) request(data []byte) (r Record, length int, ok bool) {
	line, at, length, ok := f.access.first(data, f.limit)
	if ok {
		if r, ok = f.access.record(line, at); ok {
			r = f.dialect.through(r, line)
		}
	}
	return r, length, ok
}

// message judges the line of any other log that data begins with.
func (f *finder) message(data []byte) (r Record, length int, ok bool) {
	line, length := data, len(data)
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		line, length = data[:i], i+1
	}
	line = trimLine(line, f.limit)
	if f.dialect.needles == nil {
		r, ok = f.dialect.parse(line)
	} else {
		r, ok = f.dialect.judge(line)
	}
	return r, length, ok
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
