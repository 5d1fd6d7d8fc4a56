package logs

import (
	"context"
	"sync/atomic"
)

const (
	// stretchBlocks is how many blocks are searched between two handovers at most: waking
	// the consumer up takes as long as searching a tenth of a block.
	stretchBlocks = 4
	// handOver is how many records are handed over before a stretch is done. Where every
	// line is evidence, the records of a block are larger than the block.
	handOver = 1024
)

// result is what was found in a part of a stretch, on its way to the consumer.
type result struct {
	found
	err  error
	last bool // of its stretch
}

// pipe carries the results of several workers to one consumer in the order of the
// stretches. Nobody waits in it who does not have to: a worker is a thread of its own.
// What a worker is ahead of the consumer is bounded twice, by stretches, and by the parts
// of a stretch, of which one waits at most.
type pipe struct {
	next    atomic.Int64  // the stretch nobody has taken yet
	ahead   chan struct{} // a place for each stretch that is taken and not consumed
	results []chan result // of stretch n at n modulo their number
	used    chan []Record // lists that were consumed, to be filled again
}

// newPipe answers a pipe of at most size stretches.
func newPipe(size int) *pipe {
	p := &pipe{ahead: make(chan struct{}, size), results: make([]chan result, size), used: make(chan []Record, size)}
	for i := range p.results {
		p.results[i] = make(chan result, 1)
	}
	return p
}

// take answers the number of the next of the stretches, once there is room for it. As at
// most size of them are under way, no two share a place in results.
func (p *pipe) take(ctx context.Context, stretches int64) (int64, bool) {
	select {
	case p.ahead <- struct{}{}:
	case <-ctx.Done():
		return 0, false
	}
	n := p.next.Add(1) - 1
	return n, n < stretches && ctx.Err() == nil
}

// list answers an empty list of records.
func (p *pipe) list() []Record {
	select {
	case list := <-p.used:
		return list
	default:
		return make([]Record, 0, batch)
	}
}

// put hands over a result of stretch n; false means that nobody wants it any more.
func (p *pipe) put(ctx context.Context, n int64, r result) bool {
	select {
	case p.results[n%int64(len(p.results))] <- r:
		return true
	case <-ctx.Done():
		return false
	}
}

// get waits for the next result of stretch n.
func (p *pipe) get(ctx context.Context, n int64) (result, error) {
	select {
	case r := <-p.results[n%int64(len(p.results))]:
		return r, nil
	case <-ctx.Done():
		return result{}, context.Cause(ctx)
	}
}

// done takes back what was consumed, and makes room after the last of a stretch.
func (p *pipe) done(r result) {
	clear(r.records) // of the texts they would keep alive
	if cap(r.records) <= 2*handOver {
		select {
		case p.used <- r.records[:0]:
		default:
		}
	}
	if r.last {
		<-p.ahead
	}
}
