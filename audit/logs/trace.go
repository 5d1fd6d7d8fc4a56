package logs

import (
	"bytes"

	"rekey/audit"
)

// trace records the lines of the stretch in which Query.Trace finds something, each once.
// One without a time stays without where no line above has one: where something stands
// matters more than since when.
func (f *finder) trace(out *found) {
	if f.end == 0 {
		return
	}
	out.lines += int64(bytes.Count(f.data[:f.end], newline))
	if f.data[f.end-1] != '\n' {
		out.lines++
	}
	last := -1
	for _, hit := range f.query.Trace(f.data) {
		start := bytes.LastIndexByte(f.data[:hit.From], '\n') + 1
		if start >= f.end {
			return // the next stretch begins with that line
		}
		if start == last {
			r := &out.records[len(out.records)-1]
			r.Whole = r.Whole || hit.Whole
			continue
		}
		r := Record{Kind: audit.Exposed, Guarded: -1, Whole: hit.Whole, Offset: f.origin + int64(start)}
		line := f.data[start:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i]
		}
		if at, ok := f.dialect.stamp(trimLine(line, f.limit)); ok {
			r.At = at
		} else if above := f.above(start); above.ok {
			r.At = above.at
		}
		if r.At.IsZero() || f.query.holds(r.At) {
			out.records, last = append(out.records, r), start
		}
	}
}
