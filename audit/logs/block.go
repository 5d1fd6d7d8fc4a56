package logs

import (
	"bytes"
	"time"
)

// block is one worker's view of a stretch of a file. Every line belongs to the
// block it begins in, so that any division into blocks finds the same records.
type block struct {
	file    *File
	query   Query
	zone    *time.Location
	guard   guards
	dialect *dialect
	buf     []byte
	spare   []byte // for looking above the block

	data   []byte // the bytes from the block's first line to the end of its last
	origin int64  // the offset of data[0] in the file
	end    int    // lines beginning at or after data[end] belong to the next block

	// The line above which the last time was sought, and what was found: see above.
	soughtAt int
	soughtIs timed
	sought   bool
}

// timed is a line with a timestamp.
type timed struct {
	offset int64
	at     time.Time
	ok     bool
}

// found is what a block holds.
type found struct {
	records  []Record
	lines    int64
	bytes    int64
	timeless int64
}

func newBlock(l *File, q Query) *block {
	return &block{
		file: l, query: q, zone: q.zone(), guard: newGuards(q.Endpoints), dialect: l.dialect(q),
		buf: make([]byte, l.sizes.block+l.sizes.line+1),
	}
}

// search finds the records of the lines that begin in [lo, hi) and lie in the
// window. hi-lo must not exceed the file's block size.
func (b *block) search(lo, hi int64) (found, error) {
	if err := b.load(lo, hi); err != nil {
		return found{}, err
	}
	var out found
	out.bytes = int64(b.end)
	switch {
	case b.file.format == Access:
		b.walk(&out)
	case b.dialect.needles == nil:
		b.every(&out)
	default:
		b.seek(&out, b.dialect.needles, b.dialect.judge)
	}
	return out, nil
}

// load reads the block and aligns it to lines.
func (b *block) load(lo, hi int64) error {
	b.sought = false
	from := max(0, lo-1) // the byte before tells whether a line begins at lo
	n, err := readAt(b.file.f, b.buf[:hi-from], from)
	if err != nil {
		return err
	}
	data := b.buf[:n]
	if lo > 0 {
		i := bytes.IndexByte(data, '\n')
		if i < 0 || from+int64(i)+1 >= hi {
			b.data, b.origin, b.end = nil, hi, 0
			return nil
		}
		data = data[i+1:]
		from += int64(i) + 1
	}
	b.origin, b.end = from, len(data)
	// The last line may go on behind the block.
	have := n
	for grow := 4 << 10; len(data) > 0 && data[len(data)-1] != '\n' && have < len(b.buf); grow *= 2 {
		more := min(grow, len(b.buf)-have)
		m, err := readAt(b.file.f, b.buf[have:have+more], from+int64(len(data)))
		if err != nil {
			return err
		}
		if m == 0 {
			break
		}
		tail := b.buf[have : have+m]
		if i := bytes.IndexByte(tail, '\n'); i >= 0 {
			data = data[:len(data)+i+1]
			break
		}
		data = data[:len(data)+m]
		have += m
	}
	b.data = data
	return nil
}

// walk judges every line in turn: in an access log evidence is dense and stands at
// a known field, so going there beats searching for digits.
func (b *block) walk(out *found) {
	for at := 0; at < b.end; {
		next := len(b.data)
		line := b.data[at:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, next = line[:i], at+i+1
		}
		out.lines++
		line = trimLine(line, b.file.sizes.line)
		if r, ok := parseAccess(line, b.guard, b.zone); ok {
			b.keep(out, b.dialect.through(r, line), at)
		}
		at = next
	}
}

// Needles are strings of which every line of evidence holds at least one.
var (
	securityNeedles = [][]byte{phrase}
	djangoNeedles   = [][]byte{phrase, unauthorized, []byte("Forbidden"), []byte(`" 401 `), []byte(`" 403 `)}
)

// seek jumps from needle to needle and judges only the lines that hold one.
func (b *block) seek(out *found, needles [][]byte, parse func([]byte) (Record, bool)) {
	out.lines = int64(bytes.Count(b.data[:b.end], newline))
	if b.end > 0 && b.data[b.end-1] != '\n' {
		out.lines++
	}
	next := make([]int, len(needles)) // the next place of each needle
	for i := range next {
		next[i] = -1
	}
	for at := 0; at < b.end; {
		nearest := len(b.data)
		for i, needle := range needles {
			if next[i] < at {
				next[i] = len(b.data)
				if j := bytes.Index(b.data[at:], needle); j >= 0 {
					next[i] = at + j
				}
			}
			nearest = min(nearest, next[i])
		}
		if nearest == len(b.data) {
			return
		}
		start := bytes.LastIndexByte(b.data[at:nearest], '\n') + 1 + at
		if start >= b.end {
			return
		}
		end := len(b.data)
		if i := bytes.IndexByte(b.data[nearest:], '\n'); i >= 0 {
			end = nearest + i
		}
		if r, ok := parse(trimLine(b.data[start:end], b.file.sizes.line)); ok {
			b.keep(out, r, start)
		}
		at = end + 1
	}
}

// keep adds a record that lies in the window. One without a time of its own takes
// that of the nearest line above.
func (b *block) keep(out *found, r Record, at int) {
	r.Offset = b.origin + int64(at)
	if r.At.IsZero() {
		above := b.above(at)
		if !above.ok || r.Offset-above.offset > int64(b.file.sizes.line) {
			out.timeless++
			return
		}
		r.At = above.at
	}
	if b.query.holds(r.At) {
		out.records = append(out.records, r)
	}
}

// above finds the nearest line with a time above the line at data[at]. The last
// answer is remembered, so that a run of lines without times costs one look each.
func (b *block) above(at int) timed {
	stop := 0
	if b.sought {
		stop = b.soughtAt
	}
	answer := b.soughtIs
	if !b.sought {
		answer = b.beforeBlock()
	}
	for end := at; end > stop; {
		start := bytes.LastIndexByte(b.data[:end-1], '\n') + 1
		if t, ok := b.stampOf(trimLine(b.data[start:end-1], b.file.sizes.line)); ok {
			answer = timed{offset: b.origin + int64(start), at: t, ok: true}
			break
		}
		end = start
	}
	b.sought, b.soughtAt, b.soughtIs = true, at, answer
	return answer
}

// beforeBlock finds the nearest line with a time among those that begin less than
// a line's limit before the block.
func (b *block) beforeBlock() timed {
	if b.spare == nil {
		b.spare = make([]byte, b.file.sizes.line+1)
	}
	from := max(0, b.origin-int64(len(b.spare)))
	data := b.spare[:b.origin-from]
	n, err := readAt(b.file.f, data, from)
	if err != nil || n < len(data) {
		return timed{}
	}
	for end := len(data); end > 0; {
		start := bytes.LastIndexByte(data[:end-1], '\n') + 1
		if start == 0 && from > 0 {
			break // its beginning lies further up
		}
		if t, ok := b.stampOf(trimLine(data[start:end-1], b.file.sizes.line)); ok {
			return timed{offset: from + int64(start), at: t, ok: true}
		}
		end = start
	}
	return timed{}
}

// firstTime is the time of the first line of the block that has one.
func (b *block) firstTime() (time.Time, bool) {
	for at := 0; at < b.end; {
		line := b.data[at:]
		next := len(b.data)
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, next = line[:i], at+i+1
		}
		if t, ok := b.stampOf(trimLine(line, b.file.sizes.line)); ok {
			return t, true
		}
		at = next
	}
	return time.Time{}, false
}

func (b *block) stampOf(line []byte) (time.Time, bool) { return b.dialect.stamp(line) }
