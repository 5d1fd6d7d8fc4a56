package logs

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Source is a place that evidence is read from: a file here, and whatever else can
// hand out records in about the order they happened.
type Source interface {
	// Scan is as File.Scan.
	Scan(ctx context.Context, q Query, yield func(Record) error) (Stats, error)
}

// Join scans all sources at once and hands their records to add in the order they
// happened, across sources, as a Merger wants them. It answers the Stats and the
// error of each source; an error of one does not end the others.
//
// Each source may run ahead of the others by a few batches only, so that memory is
// bounded.
func Join(ctx context.Context, sources []Source, q Query, add func(source int, r Record)) ([]Stats, []error) {
	stats, errs := make([]Stats, len(sources)), make([]error, len(sources))
	if len(sources) == 1 { // nothing to wait for
		stats[0], errs[0] = batched(ctx, sources[0], q, &sorter{take: func(list []Record) {
			for i := range list {
				add(0, list[i])
			}
		}})
		return stats, errs
	}
	heads := make([]*head, len(sources))
	var wg sync.WaitGroup
	for i, s := range sources {
		out, back := make(chan []Record, 2), make(chan []Record, 4)
		heads[i] = &head{in: out, back: back}
		wg.Go(func() {
			defer close(out)
			stats[i], errs[i] = batched(ctx, s, q, &sorter{take: func(list []Record) { batches(list, out, back) }})
		})
	}
	for {
		oldest := -1
		var at time.Time
		for i, h := range heads {
			if r := h.peek(); r != nil && (oldest < 0 || r.At.Before(at)) {
				oldest, at = i, r.At
			}
		}
		if oldest < 0 {
			break
		}
		add(oldest, *heads[oldest].peek())
		heads[oldest].at++
	}
	wg.Wait()
	return stats, errs
}

const (
	// batch is how many records travel together; one by one, handing over would cost
	// more than finding.
	batch = 256
	// reorder is how many records are held back to be sorted by time. It undoes the
	// disorder of neighbouring lines, and all disorder of a log with fewer records.
	reorder = 4096
	// step is how many are sorted and handed on at once: few, so that whoever takes them is
	// never so long at it that the search ahead of it has to wait.
	step = reorder / 4
)

// sorter hands records on, sorted by time as far as reorder reaches.
type sorter struct {
	take       func([]Record) // which are the sorter's again when it returns
	held       []Record
	sent       int  // of held
	untidy     bool // held is not in order
	last       time.Time
	disordered bool
}

// batches sends copies of list in batches, in such as come back.
func batches(list []Record, out chan<- []Record, back <-chan []Record) {
	for part := range slices.Chunk(list, batch) {
		var used []Record
		select {
		case used = <-back:
		default:
			used = make([]Record, 0, batch)
		}
		out <- append(used[:0], part...)
	}
}

// batched scans s into sorted. Handing on never gives up: Join takes whatever it gets,
// and what was found before a deadline is still evidence.
func batched(ctx context.Context, s Source, q Query, sorted *sorter) (Stats, error) {
	stats, err := s.Scan(ctx, q, func(r Record) error {
		if n := len(sorted.held); n > 0 && r.At.Before(sorted.held[n-1].At) {
			sorted.untidy = true
		}
		if sorted.held = append(sorted.held, r); len(sorted.held)-sorted.sent == reorder+step {
			sorted.send(step)
		}
		return nil
	})
	sorted.send(len(sorted.held) - sorted.sent)
	stats.Disordered = sorted.disordered
	return stats, err
}

// send sorts what is held and hands on the oldest n.
func (s *sorter) send(n int) {
	held := s.held[s.sent:]
	if s.untidy {
		slices.SortStableFunc(held, func(a, b Record) int { return a.At.Compare(b.At) })
		s.untidy = false
	}
	if n > 0 {
		s.disordered = s.disordered || held[0].At.Before(s.last)
		s.last = held[n-1].At
		s.take(held[:n])
	}
	if s.sent += n; s.sent >= reorder {
		s.held, s.sent = append(s.held[:0], s.held[s.sent:]...), 0
	}
}

// head is the front of a source's stream.
type head struct {
	in   <-chan []Record
	back chan<- []Record
	list []Record
	at   int // of list
}

// peek waits for the next record; nil means that there is none. What it answers is
// valid until the record after it is peeked at.
func (h *head) peek() *Record {
	if h.at == len(h.list) {
		if h.list != nil {
			select {
			case h.back <- h.list:
			default: // the source has enough of them
			}
		}
		h.list, h.at = <-h.in, 0 // nil once the channel is closed
	}
	if len(h.list) == 0 {
		return nil
	}
	return &h.list[h.at]
}
