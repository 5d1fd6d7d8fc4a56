package logs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"rekey/audit"
)

// partShift is where in an Offset of a set the number of the part begins.
const partShift = 48

// Scan is as File.Scan, over all parts in time order. The query must be the one the set
// was opened for. Packed parts are unpacked one for each worker, a little ahead of the
// reading.
func (s *Set) Scan(ctx context.Context, q Query, yield func(Record) error) (Stats, error) {
	all := s.start()
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ahead := s.unpackAhead(ctx, q, &wg)
	for i, p := range s.parts {
		var stopped error
		take := func(r Record) error {
			r.Offset |= int64(i) << partShift
			stopped = yield(r)
			return stopped
		}
		var stats Stats
		var err error
		if p.archive != nil {
			stats, err = ahead[p].each(ctx, take)
		} else {
			stats, err = p.plain.Scan(ctx, q, take)
		}
		all.join(stats)
		switch {
		case err == nil && len(s.parts) > 1 && stats.Begins.IsZero() && stats.Lines > 0 && len(stats.Gaps) == 0:
			all.Gaps = append(all.Gaps, Gap{Name: p.label, Why: "None of its lines has a time, so that they could not be placed; look what it is.", Left: partial})
		case err == nil:
		case stopped != nil || ctx.Err() != nil:
			return s.ended(all), err
		default: // the other parts are evidence all the same
			all.Gaps = append(all.Gaps, p.unfinished())
		}
	}
	return s.ended(all), nil
}

func (p *part) unfinished() Gap {
	return Gap{Name: p.label, Why: "It could not be read to its end; check the disk.", Left: partial}
}

// start is the Stats before anything was read.
func (s *Set) start() Stats {
	all := Stats{Ordered: true, Gaps: s.gaps}
	for _, p := range s.parts {
		all.Size += p.info.Size()
	}
	if len(s.parts) == 0 {
		all.Begins, all.Ends = s.later, s.later
	}
	return all
}

// join adds what the reading of the next part covered. Its size is counted already.
func (s *Stats) join(next Stats) {
	if s.Begins.IsZero() {
		s.Begins = next.Begins
	}
	if next.Ends.After(s.Ends) {
		s.Ends = next.Ends
	}
	s.Read += next.Read
	s.Lines += next.Lines
	s.Timeless += next.Timeless
	s.Sampled += next.Sampled
	s.Messages += next.Messages
	s.Requests += next.Requests
	s.Ordered = s.Ordered && next.Ordered
	s.Truncated = s.Truncated || next.Truncated
	s.Gaps = append(s.Gaps, next.Gaps...)
}

// ended looks once more whether anything was truncated, after all was read.
func (s *Set) ended(all Stats) Stats {
	for _, p := range s.parts {
		all.Truncated = all.Truncated || p.plain != nil && p.plain.shrunk()
	}
	return all
}

// unpacking is an archive that is being read.
type unpacking struct {
	records chan []Record
	stats   Stats // both are set when records is closed
	err     error
}

const (
	// lead is how many batches an archive may be ahead of the reading: enough for what is
	// usually found in a quarter of a gigabyte, or unpacking it would wait for the one before.
	lead = 64
	// batchBytes is about how much memory a batch of an archive's records takes at most,
	// whose lines go with them.
	batchBytes = 96 << 10
)

// unpackAhead reads the packed parts in their order, as many at once as there are
// workers, and of those that take much memory one. The oldest is always among them, so
// that the reading never waits in vain.
func (s *Set) unpackAhead(ctx context.Context, q Query, wg *sync.WaitGroup) map[*part]*unpacking {
	started := map[*part]*unpacking{}
	var packed []*part
	for _, p := range s.parts {
		if p.archive != nil {
			started[p] = &unpacking{records: make(chan []Record, lead)}
			packed = append(packed, p)
		}
	}
	todo, wide := make(chan *part), make(chan struct{}, 1)
	wg.Go(func() {
		defer close(todo)
		for _, p := range packed {
			if p.archive.wide {
				select {
				case wide <- struct{}{}:
				case <-ctx.Done():
					return
				}
			}
			select {
			case todo <- p:
			case <-ctx.Done():
				return
			}
		}
	})
	for range min(q.workers(), len(packed)) {
		wg.Go(func() {
			for p := range todo {
				politely(func() { started[p].run(ctx, p.archive, q) })
				if p.archive.wide {
					<-wide
				}
			}
		})
	}
	return started
}

// run reads an archive into records.
func (u *unpacking) run(ctx context.Context, a *archive, q Query) {
	defer close(u.records)
	const bare = int(unsafe.Sizeof(Record{}))
	held, size := make([]Record, 0, batch), 0
	send := func() error {
		select {
		case u.records <- held:
			held, size = make([]Record, 0, batch), 0
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	u.stats, u.err = a.scan(ctx, q, func(r Record) error {
		held, size = append(held, r), size+bare+len(r.Line)+len(r.Name)
		if len(held) < batch && size < batchBytes {
			return nil
		}
		return send()
	})
	if err := send(); u.err == nil {
		u.err = err
	}
}

// each hands the records on.
func (u *unpacking) each(ctx context.Context, yield func(Record) error) (Stats, error) {
	for {
		select {
		case list, ok := <-u.records:
			if !ok {
				return u.stats, u.err
			}
			for _, r := range list {
				if err := yield(r); err != nil {
					return Stats{}, err
				}
			}
		case <-ctx.Done():
			return Stats{}, context.Cause(ctx)
		}
	}
}

// Last is as File.Last, over the parts that are not packed, from the newest back to the
// first packed one: an archive cannot be read backwards.
func (s *Set) Last(ctx context.Context, q Query, n int, kinds ...audit.Kind) ([]Record, Stats, error) {
	all := s.start()
	tally := newNewest(n, kinds)
	for i := len(s.parts) - 1; i >= 0 && s.parts[i].plain != nil && !tally.full(); i-- {
		records, stats, err := s.parts[i].plain.Last(ctx, q, n, kinds...)
		for k := range records {
			records[k].Offset |= int64(i) << partShift
		}
		tally.prepend(records)
		all.join(stats)
		if err != nil {
			return tally.records(), s.ended(all), err
		}
	}
	return tally.records(), s.ended(all), nil
}

// errPacked reports a line of a packed part, which its record carries.
var errPacked = errors.New("the part is packed")

// Line is the text of the line at an Offset of a record that carries none, as much as is
// looked at.
func (s *Set) Line(offset int64) (string, error) {
	p := s.parts[offset>>partShift]
	if p.plain == nil {
		return "", fmt.Errorf("reading %s: %w", p.path, errPacked)
	}
	return p.plain.Line(offset & (1<<partShift - 1))
}

// Names are what people call the lines at Offsets of records that carry no Name, which
// must ascend: "access.log.1:812", or "access.log@4294967296" far into a large file.
func (s *Set) Names(offsets []int64) []string {
	var names []string
	for i := 0; i < len(offsets); {
		n := offsets[i] >> partShift
		var inside []int64
		for ; i < len(offsets) && offsets[i]>>partShift == n; i++ {
			inside = append(inside, offsets[i]&(1<<partShift-1))
		}
		names = append(names, s.parts[n].plain.names(s.parts[n].label, inside)...)
	}
	return names
}
