package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"rekey/audit"
)

// Last finds the newest n records of each of the kinds in the window, in the order of
// the file. It reads backwards from the end and stops as soon as it has them, or at the
// window's start where lines are in time order: the cost is that of the records, not
// of the file. Where the first 64 MiB hold too few, searching on backwards would be
// slower than a scan on all cores, so it changes over to that.
func (l *File) Last(ctx context.Context, q Query, n int, kinds ...audit.Kind) ([]Record, Stats, error) {
	stats := Stats{Size: l.Size()}
	if l.format == Custom && q.Pattern == nil {
		return nil, stats, fmt.Errorf("reading %s: %w", l.path, errNoPattern)
	}
	tally := newNewest(n, kinds)
	if n <= 0 {
		return nil, stats, nil
	}
	p := &prober{file: l, dialect: l.dialect(q)}
	inOrder, err := l.orderly(p, q)
	if err != nil {
		return nil, stats, fmt.Errorf("reading %s: %w", l.path, err)
	}
	stats.Ordered = inOrder
	b := newBlock(l, q, int64(l.sizes.block))
	step := int64(l.sizes.tail)
	hi := l.Size()
	for hi > 0 && !tally.full() {
		if err := ctx.Err(); err != nil {
			return tally.records(), stats, err
		}
		if l.Size()-hi >= int64(l.sizes.budget) {
			return l.lastByScan(ctx, q, newNewest(n, kinds))
		}
		lo := max(0, hi-step)
		var f found
		if err := b.search(lo, hi, &f); err != nil {
			return tally.records(), stats, fmt.Errorf("reading %s: %w", l.path, err)
		}
		stats.add(f)
		tally.prepend(f.records)
		if inOrder {
			if first, ok := b.firstTime(); ok && first.Before(q.Window.Since.Add(-p.margin())) {
				break
			}
		}
		hi, step = lo, min(2*step, int64(l.sizes.block))
	}
	stats.Truncated = l.shrunk()
	return tally.records(), stats, nil
}

// orderly reports whether lines are in time order. It is worth asking only where the
// window has a start to stop at, and that saves more than the samples cost.
func (l *File) orderly(p *prober, q Query) (bool, error) {
	if l.Size() < l.sizes.whole || q.Window.Since.IsZero() {
		return false, nil
	}
	first, err := p.timedFrom(0)
	if err != nil || !first.ok {
		return false, err
	}
	return p.ordered(first.at)
}

// lastByScan is Last by a forward scan of the whole window.
func (l *File) lastByScan(ctx context.Context, q Query, tally *newest) ([]Record, Stats, error) {
	stats, err := l.Scan(ctx, q, func(r Record) error {
		tally.add(r)
		return nil
	})
	return tally.records(), stats, err
}

// newest keeps the n records of each kind that come last in a file.
type newest struct {
	n    int
	kept map[audit.Kind][]Record // add: oldest first; prepend: newest first
	back bool
}

func newNewest(n int, kinds []audit.Kind) *newest {
	t := &newest{n: n, kept: map[audit.Kind][]Record{}}
	for _, kind := range kinds {
		t.kept[kind] = nil
	}
	return t
}

// add takes the next record of a forward reading.
func (t *newest) add(r Record) {
	list, wanted := t.kept[r.Kind]
	if !wanted {
		return
	}
	list = append(list, r)
	if len(list) >= 2*t.n {
		list = append(list[:0], list[len(list)-t.n:]...)
	}
	t.kept[r.Kind] = list
}

// prepend takes the records of the next block of a backward reading.
func (t *newest) prepend(records []Record) {
	t.back = true
	for _, r := range slices.Backward(records) {
		if list, wanted := t.kept[r.Kind]; wanted && len(list) < t.n {
			t.kept[r.Kind] = append(list, r)
		}
	}
}

// full reports whether nothing more is wanted.
func (t *newest) full() bool {
	for _, list := range t.kept {
		if len(list) < t.n {
			return false
		}
	}
	return true
}

func (t *newest) records() []Record {
	var all []Record
	for _, list := range t.kept {
		if !t.back {
			list = list[max(0, len(list)-t.n):]
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b Record) int { return cmp.Compare(a.Offset, b.Offset) })
	return all
}
