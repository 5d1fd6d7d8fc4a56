package logs

import (
	"context"
	"fmt"
	"runtime"
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

// result is a searched block on its way to the consumer.
type result struct {
	found
	err error
}

// scan searches [from, to) block by block on several workers and consumes the
// results in order. Workers stay at most a few blocks ahead of the consumer, which
// bounds memory however slow the consumer is.
func (l *File) scan(ctx context.Context, q Query, from, to int64, consume func(found) error) error {
	workers := q.Workers
	if workers <= 0 {
		workers = min(runtime.GOMAXPROCS(0), runtime.NumCPU())
	}
	step := int64(l.sizes.block)
	// Blocks end at multiples of their size, as the kernel keeps a file in pages.
	first := from / step
	blocks := (to+step-1)/step - first
	if from >= to {
		return ctx.Err()
	}
	workers = int(min(int64(workers), blocks))

	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	p := newPipe(ctx, 3*workers)
	for range workers {
		wg.Go(func() {
			politely(func() {
				b := newBlock(l, q)
				for n, ok := p.take(blocks); ok; n, ok = p.take(blocks) {
					r := result{found: found{records: p.list()}}
					lo := (first + n) * step
					q.Readers.enter()
					r.err = b.search(max(lo, from), min(lo+step, to), &r.found)
					q.Readers.leave()
					p.put(n, r)
				}
			})
		})
	}
	for n := range blocks {
		select {
		case r := <-p.results[n%int64(len(p.results))]:
			if r.err != nil {
				return fmt.Errorf("reading %s: %w", l.path, r.err)
			}
			if err := consume(r.found); err != nil {
				return err
			}
			p.done(r.records)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return context.Cause(ctx)
}
