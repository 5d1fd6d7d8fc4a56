package logs

import (
	"context"
	"fmt"
	"sync"
)

// Scan hands every record of the window to yield, in the order of the file, and
// says what was read. Blocks are searched on all cores; yield is called from the
// caller's goroutine, and an error from it ends the scan.
//
// When ctx ends, Scan returns its error with the Stats so far: everything handed to
// yield is valid, and what lies behind was not read.
func (l *File) Scan(ctx context.Context, q Query, yield func(Record) error) (Stats, error) {
	if l.format == Custom && q.Pattern == nil {
		return Stats{Size: l.Size()}, fmt.Errorf("reading %s: %w", l.path, errNoPattern)
	}
	s, err := l.locate(q)
	if err != nil {
		return Stats{Size: l.Size(), Truncated: l.shrunk()}, fmt.Errorf("reading %s: %w", l.path, err)
	}
	stats := Stats{Size: l.Size(), Begins: s.begins, Ends: s.ends, Ordered: s.ordered}
	if !l.format.telling() {
		if err := l.survey(l.dialect(q), &stats); err != nil {
			return stats, fmt.Errorf("reading %s: %w", l.path, err)
		}
	}
	err = l.scan(ctx, q, s.from, s.to, func(f found) error {
		stats.add(f)
		for i := range f.records {
			if err := yield(f.records[i]); err != nil {
				return err
			}
		}
		return nil
	})
	stats.Truncated = l.shrunk()
	return stats, err
}

func (s *Stats) add(f found) {
	s.Read += f.bytes
	s.Lines += f.lines
	s.Timeless += f.timeless
	for i := range f.records {
		if f.records[i].Recorder == Server {
			s.Requests++
		}
	}
}

// scan searches [from, to) on several workers, each a stretch of blocks at a time, and
// consumes the results in order. Workers stay at most a few stretches ahead of the
// consumer, which bounds memory however slow the consumer is.
func (l *File) scan(ctx context.Context, q Query, from, to int64, consume func(found) error) error {
	workers := int64(q.workers())
	if from >= to {
		return ctx.Err()
	}
	// Blocks end at multiples of their size, as the kernel keeps a file in pages.
	block := l.blockFor(to-from, workers)
	blocks := (to+block-1)/block - from/block
	step := block * min(max(1, blocks/(stretchesEach*workers)), stretchBlocks)
	first := from / step
	stretches := (to+step-1)/step - first

	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	p := newPipe(3 * int(workers))
	for range min(workers, stretches) {
		wg.Go(func() {
			politely(func() {
				b := newBlock(l, q, block)
				for n, ok := p.take(ctx, stretches); ok; n, ok = p.take(ctx, stretches) {
					lo := (first + n) * step
					b.stretch(ctx, p, n, max(lo, from), min(lo+step, to))
				}
			})
		})
	}
	for n := range stretches {
		for last := false; !last; {
			r, err := p.get(ctx, n)
			if err != nil {
				return err
			}
			if r.err != nil {
				return fmt.Errorf("reading %s: %w", l.path, r.err)
			}
			if err := consume(r.found); err != nil {
				return err
			}
			last = r.last
			p.done(r)
		}
	}
	return context.Cause(ctx)
}

// stretchesEach is how many stretches there are for each worker at least, so that all end at
// about the same time.
const stretchesEach = 8

// blockFor is how much is searched at once of length bytes.
func (l *File) blockFor(length, workers int64) int64 {
	block := int64(l.sizes.block)
	most := min(int64(l.sizes.most), int64(l.sizes.all)/workers, length/(stretchBlocks*stretchesEach*workers))
	for 2*block <= most {
		block *= 2
	}
	return block
}

// stretch searches [lo, hi), stretch n of p, block by block; in smaller bites where there
// is much to find.
func (b *block) stretch(ctx context.Context, p *pipe, n, lo, hi int64) {
	r := result{found: found{records: p.list()}}
	for ctx.Err() == nil {
		next := min((lo/b.bite+1)*b.bite, hi)
		before := len(r.records)
		b.query.Readers.enter()
		r.err = b.search(lo, next, &r.found)
		b.query.Readers.leave()
		usual := int64(b.file.sizes.block)
		switch {
		case len(r.records)-before > handOver/4:
			b.bite = max(b.bite/8, usual/8, 1)
		case b.bite < usual:
			b.bite = usual
		default:
			b.bite = min(2*b.bite, b.size)
		}
		lo = next
		r.last = lo == hi || r.err != nil
		if !r.last && len(r.records) < handOver {
			continue
		}
		if !p.put(ctx, n, r) || r.last {
			return
		}
		r = result{found: found{records: p.list()}}
	}
}
