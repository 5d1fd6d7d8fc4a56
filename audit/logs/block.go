package logs

import (
	"bytes"
	"time"
)

// block is one worker's view of a stretch of a file. Every line belongs to the
// block it begins in, so that any division into blocks finds the same records.
type block struct {
	finder
	file  *File
	buf   []byte
	spare []byte // for looking above the block
	size  int64  // the most that is searched at once
	bite  int64  // how much is
}

// timed is a line with a timestamp.
type timed struct {
	offset int64
	at     time.Time
	ok     bool
}

// alignment is the number of bytes modulo which a place in memory and its offset in
// the file agree. A copy whose destination lies a few bytes further on than its source,
// modulo a page, is four to six times as slow on AMD's processors (rep movsb, by which
// the kernel hands out its pages, takes it for an overlap): reading from one byte before
// a block into the beginning of a buffer was exactly that.
const alignment = 64

// newBlock answers a worker's view of at most size bytes at a time.
func newBlock(l *File, q Query, size int64) *block {
	b := &block{file: l, size: size, bite: int64(l.sizes.block), buf: make([]byte, alignment+int(size)+l.sizes.line+1)}
	b.finder = newFinder(l.dialect(q), q, l.sizes.line, b.beforeBlock)
	return b
}

// search appends to out the records of the lines that begin in [lo, hi) and lie in the
// window. hi-lo must not exceed b.size.
func (b *block) search(lo, hi int64, out *found) error {
	if err := b.load(lo, hi); err != nil {
		return err
	}
	b.find(out)
	return nil
}

// load reads the block and aligns it to lines.
func (b *block) load(lo, hi int64) error {
	from := max(0, lo-1) // the byte before tells whether a line begins at lo
	buf := b.buf[from%alignment:]
	n, err := readAt(b.file.f, buf[:hi-from], from)
	if err != nil {
		return err
	}
	data := buf[:n]
	if lo > 0 {
		i := bytes.IndexByte(data, '\n')
		if i < 0 || from+int64(i)+1 >= hi {
			b.set(nil, 0, hi)
			return nil
		}
		data = data[i+1:]
		from += int64(i) + 1
	}
	end := len(data)
	// The last line may go on behind the block.
	have := n
	for grow := 4 << 10; len(data) > 0 && data[len(data)-1] != '\n' && have < len(buf); grow *= 2 {
		more := min(grow, len(buf)-have)
		m, err := readAt(b.file.f, buf[have:have+more], from+int64(len(data)))
		if err != nil {
			return err
		}
		if m == 0 {
			break
		}
		tail := buf[have : have+m]
		if i := bytes.IndexByte(tail, '\n'); i >= 0 {
			data = data[:len(data)+i+1]
			break
		}
		data = data[:len(data)+m]
		have += m
	}
	b.set(data, end, from)
	return nil
}

// beforeBlock finds the nearest line with a time among those that begin less than
// a line's limit before the block.
func (b *block) beforeBlock() timed {
	if b.spare == nil {
		b.spare = make([]byte, b.limit+1)
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
		if t, ok := b.dialect.stamp(trimLine(data[start:end-1], b.limit)); ok {
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
		if t, ok := b.dialect.stamp(trimLine(line, b.limit)); ok {
			return t, true
		}
		at = next
	}
	return time.Time{}, false
}
