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
	s, err := l.locate(q)
	if err != nil {
		return Stats{Size: l.Size(), Truncated: l.shrunk()}, fmt.Errorf("reading %s: %w", l.path, err)
	}
	stats := Stats{Size: l.Size(), Begins: s.begins, Ends: s.ends, Ordered: s.ordered}
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
}

// result is a searched block on its way to the consumer.
type result struct {
	found
	err error
}

// spares are lists of records that were consumed, to be filled again.
type spares chan []Record

func (s spares) take() []Record {
	select {
	case list := <-s:
		return list
	default:
		return nil
	}
}

func (s spares) put(list []Record) {
	clear(list) // of the texts it would keep alive
	select {
	case s <- list[:0]:
	default:
	}
}

// task is a block to be searched, and where its result is awaited.
type task struct {
	lo, hi int64
	result chan result
}

// scan searches [from, to) block by block on several workers and consumes the
// results in order. Workers stay at most a few blocks ahead of the consumer, which
// bounds memory however slow the consumer is.
func (l *File) scan(ctx context.Context, q Query, from, to int64, consume func(found) error) error {
	workers := q.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	step := int64(l.sizes.block)
	workers = int(min(int64(workers), (to-from+step-1)/step))
	if workers == 0 {
		return ctx.Err()
	}

	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	tasks := make(chan task)
	inOrder := make(chan task, 2*workers)
	used := make(spares, 3*workers)
	wg.Go(func() {
		defer close(tasks)
		defer close(inOrder)
		for lo, hi := from, int64(0); lo < to; lo = hi {
			hi = min((lo/step+1)*step, to) // at whole blocks, as the kernel keeps a file in pages
			t := task{lo: lo, hi: hi, result: make(chan result, 1)}
			select {
			case inOrder <- t:
			case <-ctx.Done():
				return
			}
			select {
			case tasks <- t:
			case <-ctx.Done():
				return
			}
		}
	})
	for range workers {
		wg.Go(func() {
			b := newBlock(l, q)
			for t := range tasks {
				f := found{records: used.take()}
				err := b.search(t.lo, t.hi, &f)
				t.result <- result{found: f, err: err}
			}
		})
	}
	for t := range inOrder {
		select {
		case r := <-t.result:
			if r.err != nil {
				return fmt.Errorf("reading %s: %w", l.path, r.err)
			}
			if err := consume(r.found); err != nil {
				return err
			}
			used.put(r.records)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return context.Cause(ctx)
}
