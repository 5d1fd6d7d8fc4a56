package logs

import (
	"context"
	"sync/atomic"
)

// pipe carries the results of several workers to one consumer in the order of the
// blocks. Nobody waits in it who does not have to: a worker is a thread of its own, and
// waking one up takes as long as searching a fifth of a block.
type pipe struct {
	next    atomic.Int64  // the block nobody has taken yet
	ahead   chan struct{} // a place for each block that is taken and not consumed
	results []chan result // of block n at n modulo their number
	used    chan []Record // lists that were consumed, to be filled again
}

// newPipe answers a pipe of at most size blocks.
func newPipe(size int) *pipe {
	p := &pipe{ahead: make(chan struct{}, size), results: make([]chan result, size), used: make(chan []Record, size)}
	for i := range p.results {
		p.results[i] = make(chan result, 1)
	}
	return p
}

// take answers the number of the next of the blocks, once there is room for it. As at
// most size blocks are under way, no two of them share a place in results.
func (p *pipe) take(ctx context.Context, blocks int64) (int64, bool) {
	select {
	case p.ahead <- struct{}{}:
	case <-ctx.Done():
		return 0, false
	}
	n := p.next.Add(1) - 1
	return n, n < blocks && ctx.Err() == nil
}

// list answers an empty list of records.
func (p *pipe) list() []Record {
	select {
	case list := <-p.used:
		return list
	default:
		return nil
	}
}

// done makes room after a block was consumed.
func (p *pipe) done(list []Record) {
	clear(list) // of the texts it would keep alive
	select {
	case p.used <- list[:0]:
	default:
	}
	<-p.ahead
}
