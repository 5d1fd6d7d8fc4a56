package logs

import (
	"errors"
	"io"
)

// rolling lets what can only be read once, from its beginning, be read at offsets:
// those near the front of the reading, which is all that searching block by block asks
// for. Its memory is that of its buffer.
type rolling struct {
	r    io.Reader
	buf  []byte
	n    int   // bytes held
	base int64 // the offset of buf[0]
	err  error // io.EOF at the end; anything else cut the reading short
}

// errForgotten reports a reading further back than the buffer reaches.
var errForgotten = errors.New("read too far back")

// newRolling reads r through a buffer of size bytes.
func newRolling(r io.Reader, size int) *rolling {
	return &rolling{r: r, buf: make([]byte, size)}
}

// ReadAt reads at an offset that was not forgotten. An error of the stream is its end
// here; end tells them apart.
func (w *rolling) ReadAt(p []byte, offset int64) (int, error) {
	if offset < w.base {
		return 0, errForgotten
	}
	if w.fill(offset + int64(len(p))); offset >= w.base+int64(w.n) {
		return 0, io.EOF
	}
	n := copy(p, w.buf[offset-w.base:w.n])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// fill reads on until the buffer reaches to, or is full, or the stream ends.
func (w *rolling) fill(to int64) {
	for idle := 0; w.err == nil && w.base+int64(w.n) < to && w.n < len(w.buf); {
		var n int
		n, w.err = w.r.Read(w.buf[w.n:])
		w.n += n
		if idle++; n > 0 {
			idle = 0
		} else if w.err == nil && idle == 100 {
			w.err = io.ErrNoProgress
		}
	}
}

// forget makes room by dropping what lies before offset.
func (w *rolling) forget(offset int64) {
	if drop := min(int64(w.n), offset-w.base); drop > 0 {
		w.n = copy(w.buf, w.buf[drop:w.n])
		w.base += drop
	}
}

// held is what the buffer holds from offset on, up to to.
func (w *rolling) held(offset, to int64) []byte {
	offset, to = max(offset, w.base), min(to, w.base+int64(w.n))
	if offset >= to {
		return nil
	}
	return w.buf[offset-w.base : to-w.base]
}

// end is where the stream ended; not ok means that it did not yet.
func (w *rolling) end() (at int64, ok bool) {
	return w.base + int64(w.n), w.err != nil
}

// broken is what cut the stream short; nil for its proper end.
func (w *rolling) broken() error {
	if errors.Is(w.err, io.EOF) {
		return nil
	}
	return w.err
}
