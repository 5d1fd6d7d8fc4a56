package secret

import (
	"bytes"
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"rekey/audit/ledger"
)

// Guard finds fingerprinted values in whatever is about to leave the process and
// puts [redacted] in their place. It knows no value, only fingerprints, so it may
// live in every process and outlive every rotation.
//
// A Guard is safe for concurrent use; scanning takes no lock.
type Guard struct {
	printer *printer
	mu      sync.Mutex // serialises changes
	known   map[string]ledger.Fingerprint
	index   atomic.Pointer[index]
}

// NewGuard makes a guard that knows no fingerprints yet. key is the one the
// fingerprints were made with and must not be zero.
func NewGuard(key Key) *Guard {
	g := &Guard{printer: newPrinter(key), known: map[string]ledger.Fingerprint{}}
	g.index.Store(&index{})
	return g
}

// Set replaces all fingerprints.
func (g *Guard) Set(fs []ledger.Fingerprint) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known = make(map[string]ledger.Fingerprint, len(fs))
	g.add(fs)
}

// Add adds fingerprints to those known.
func (g *Guard) Add(fs []ledger.Fingerprint) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.add(fs)
}

func (g *Guard) add(fs []ledger.Fingerprint) {
	for _, f := range fs {
		if f.Length >= MinFingerprint && len(f.MAC) > 0 {
			g.known[string(f.MAC)] = f
		}
	}
	g.index.Store(newIndex(g.known))
}

// Len answers how many fingerprints are known.
func (g *Guard) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.known)
}

// Scrub answers b with every known value replaced, and how many were found.
// Where none is found the answer is b itself; b is never changed.
func (g *Guard) Scrub(b []byte) (clean []byte, found int) {
	spans := g.find(b)
	if len(spans) == 0 {
		return b, 0
	}
	out := make([]byte, 0, len(b))
	last := 0
	for _, s := range spans {
		out = append(out, b[last:s.from]...)
		out = append(out, redacted...)
		last = s.to
	}
	return append(out, b[last:]...), len(spans)
}

// ScrubString is Scrub for a string.
func (g *Guard) ScrubString(s string) string {
	b, found := g.Scrub([]byte(s))
	if found == 0 {
		return s
	}
	return string(b)
}

// Holds reports whether b holds a known value.
func (g *Guard) Holds(b []byte) bool { return len(g.find(b)) > 0 }

// index is the fingerprints ordered for scanning. It is never changed.
type index struct {
	lengths []*windows // longest first
	longest int
}

// windows are the fingerprints of one length, of those with separators or those without.
type windows struct {
	length int
	token  bool                // none of them has a separator
	maybe  [1 << 10]uint64     // one bit per low 16 bits of a rolling hash: stays in the cache
	macs   map[uint32][][]byte // by rolling hash
}

func newIndex(known map[string]ledger.Fingerprint) *index {
	type kind struct {
		length int
		token  bool
	}
	by := map[kind]*windows{}
	for _, f := range known {
		k := kind{f.Length, strings.HasSuffix(f.Form, tokenMark)}
		w := by[k]
		if w == nil {
			w = &windows{length: k.length, token: k.token, macs: map[uint32][][]byte{}}
			by[k] = w
		}
		w.maybe[f.Roll&0xffff>>6] |= 1 << (f.Roll & 63)
		w.macs[f.Roll] = append(w.macs[f.Roll], f.MAC)
	}
	x := &index{}
	for _, w := range by {
		x.lengths = append(x.lengths, w)
		x.longest = max(x.longest, w.length)
	}
	slices.SortFunc(x.lengths, func(a, b *windows) int { return cmp.Compare(b.length, a.length) })
	return x
}

// span is a half-open range of bytes.
type span struct{ from, to int }

// find answers where known values are, in order, overlapping and touching ones
// joined.
func (g *Guard) find(b []byte) []span {
	var spans []span
	for _, w := range g.index.Load().lengths {
		g.printer.scan(b, w, func(s span, _ []byte) { spans = append(spans, s) })
	}
	for i := range spans {
		spans[i] = whole(b, spans[i])
	}
	return joined(spans)
}

// scan looks for w in b and hands what it finds to found.
func (p *printer) scan(b []byte, w *windows, found func(s span, mac []byte)) {
	if !w.token {
		p.slide(b, 0, w, found)
		return
	}
	for from := 0; from+w.length <= len(b); {
		// The last separator of the first window, if any, is one of each window it is in.
		at := from + w.length - 1
		for at >= from && !separates[b[at]] {
			at--
		}
		if at >= from {
			from = at + 1
			continue
		}
		to := from + w.length
		for to < len(b) && !separates[b[to]] {
			to++
		}
		p.slide(b[from:to], from, w, found)
		from = to + 1
	}
}

// slide slides one window over b, which stands at offset, and confirms each candidate by
// its MAC.
func (p *printer) slide(b []byte, offset int, w *windows, found func(s span, mac []byte)) {
	if len(b) < w.length {
		return
	}
	table := &p.table
	var h uint64
	for _, c := range b[:w.length] {
		h = bits.RotateLeft64(h, 1) ^ table[c]
	}
	for to := w.length; ; to++ {
		if r := short(h); w.maybe[r&0xffff>>6]&(1<<(r&63)) != 0 {
			if macs := w.macs[r]; macs != nil {
				mac := p.mac(b[to-w.length : to])
				if slices.ContainsFunc(macs, func(m []byte) bool { return bytes.Equal(m, mac) }) {
					found(span{offset + to - w.length, offset + to}, mac)
				}
			}
		}
		if to == len(b) {
			return
		}
		h = bits.RotateLeft64(h, 1) ^ bits.RotateLeft64(table[b[to-w.length]], w.length) ^ table[b[to]]
	}
}

func joined(spans []span) []span {
	if len(spans) < 2 {
		return spans
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	out := spans[:1]
	for _, s := range spans[1:] {
		if last := &out[len(out)-1]; s.from <= last.to {
			last.to = max(last.to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}
