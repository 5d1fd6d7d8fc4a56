package secret

import (
	"bytes"
	"io"
	"sync"
)

// longestLine is how much of an unfinished line, in bytes, a guarded writer keeps
// before it passes some of it on.
const longestLine = 64 << 10

// Writer answers a writer that passes on to w what it is given, scrubbed. It waits
// for whole lines, so that a value split over two writes is found; an unfinished
// last line is passed on by Close. Of a line longer than 64 KiB it keeps only what
// the beginning of a value might be.
//
// Write reports len(p) and a nil error once everything was taken; after w has
// failed, every later Write and Close answers that error. Close does not close w.
// The writer is safe for concurrent use.
func (g *Guard) Writer(w io.Writer) io.WriteCloser { return &writer{guard: g, to: w} }

type writer struct {
	guard *Guard
	to    io.Writer

	mu      sync.Mutex
	pending []byte
	err     error
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	w.pending = append(w.pending, p...)
	w.pass(bytes.LastIndexByte(w.pending, '\n') + 1)
	if len(w.pending) > longestLine {
		w.pass(w.safeCut())
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// safeCut answers how much of pending may go: no known value begins before the cut
// and may yet end behind it.
func (w *writer) safeCut() int {
	cut := len(w.pending) - max(0, w.guard.index.Load().longest-1)
	for _, s := range w.guard.find(w.pending) {
		if s.from < cut && cut < s.to {
			return s.to
		}
	}
	return max(0, cut)
}

// pass scrubs and writes the first n bytes of pending.
func (w *writer) pass(n int) {
	if n == 0 || w.err != nil {
		return
	}
	clean, _ := w.guard.Scrub(w.pending[:n])
	_, w.err = w.to.Write(clean)
	w.pending = append(w.pending[:0], w.pending[n:]...)
}

// Close passes on an unfinished line.
func (w *writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pass(len(w.pending))
	return w.err
}
