package secret

import (
	"strconv"
	"strings"

	"rekey/audit/ledger"
)

// Tracer finds the values of one secret, or the beginnings of them, in text that came
// from elsewhere, such as a log. Like a Guard it knows fingerprints alone, so it finds
// values that are long gone. It is safe for concurrent use.
type Tracer struct {
	printer *printer
	index   *index
	// over is how many bytes in a row, by MAC, must be the value's for all of it to be there.
	over map[string]int
}

// Trace is a place where a value stands in a text, from byte From up to To.
type Trace struct {
	From, To int
	Whole    bool // false: only a part of it, mostly its beginning
}

// NewTracer answers a tracer of the values fs were made of, under the same key. It
// finds nothing where fs is empty.
func NewTracer(key Key, fs []ledger.Fingerprint) *Tracer {
	known := map[string]ledger.Fingerprint{}
	last := map[string]int{} // the last block of each form of each value
	for _, f := range fs {
		if f.Length < MinFingerprint || len(f.MAC) == 0 {
			continue
		}
		known[string(f.MAC)] = f
		name, block := formOf(f)
		last[name] = max(last[name], block)
	}
	t := &Tracer{printer: newPrinter(key), index: newIndex(known), over: map[string]int{}}
	for mac, f := range known {
		name, _ := formOf(f)
		switch {
		case strings.HasSuffix(name, formHead):
			t.over[mac] = never
		default:
			t.over[mac] = blockSize * last[name]
		}
	}
	return t
}

// never is more than any text has.
const never = 1 << 40

// formOf splits "part1/raw/2" and "part1/raw/2/token".
func formOf(f ledger.Fingerprint) (name string, block int) {
	form := strings.TrimSuffix(f.Form, tokenMark)
	i := strings.LastIndexByte(form, '/')
	if i < 0 {
		return form, 0
	}
	block, err := strconv.Atoi(form[i+1:])
	if err != nil {
		return form, 0
	}
	return form[:i], block
}

// Empty reports that there is nothing to find.
func (t *Tracer) Empty() bool { return len(t.index.lengths) == 0 }

// Find answers where b holds a value, in order.
func (t *Tracer) Find(b []byte) []Trace {
	type hit struct {
		span
		over int
	}
	var hits []hit
	var spans []span
	for _, w := range t.index.lengths {
		t.printer.scan(b, w, func(s span, mac []byte) {
			hits = append(hits, hit{s, t.over[string(mac)]})
			spans = append(spans, s)
		})
	}
	var out []Trace
	for _, s := range joined(spans) {
		tr := Trace{From: s.from, To: s.to}
		for _, h := range hits {
			tr.Whole = tr.Whole || h.from >= s.from && h.to <= s.to && s.to-s.from > h.over
		}
		out = append(out, tr)
	}
	return out
}
