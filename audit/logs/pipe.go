package logs

import (
	"context"
	"sync"
)

// maxHeld is about how many records may wait to be consumed. Where they are many,
// consuming them is what takes time, and searching further ahead would only cost memory.
const maxHeld = 2048

// pipe carries the results of several workers to one consumer in the order of the
// blocks. Nobody waits in it who does not have to: a worker is a thread of its own, and
// waking one up takes as long as searching a fifth of a block.
type pipe struct {
	results []chan result // of block n at n modulo their number
	used    chan []Record // lists that were consumed, to be filled again

	mu       sync.Mutex
	room     sync.Cond // next, consumed or held has changed, or closed
	next     int64     // the block nobody has taken yet
	consumed int64     // blocks
	held     int       // records found and not consumed
	closed   bool
}

// newPipe answers a pipe of at most size blocks, which ends with ctx.
func newPipe(ctx context.Context, size int) *pipe {
	p := &pipe{results: make([]chan result, size), used: make(chan []Record, size)}
	p.room.L = &p.mu
	for i := range p.results {
		p.results[i] = make(chan result, 1)
	}
	context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closed = true
		p.room.Broadcast()
	})
	return p
}

// take answers the number of the next of the blocks, once there is room for it. As no
// more are under way than there are places in results, no two share one. The block that
// is to be consumed next always has room.
func (p *pipe) take(blocks int64) (int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && p.next < blocks && p.next > p.consumed && (p.next-p.consumed >= int64(len(p.results)) || p.held > maxHeld) {
		p.room.Wait()
	}
	if p.closed || p.next >= blocks {
		return 0, false
	}
	p.next++
	return p.next - 1, true
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

// put hands over the result of block n.
func (p *pipe) put(n int64, r result) {
	p.mu.Lock()
	p.held += len(r.records)
	p.mu.Unlock()
	p.results[n%int64(len(p.results))] <- r
}

// done makes room after a block was consumed.
func (p *pipe) done(list []Record) {
	p.mu.Lock()
	p.held -= len(list)
	p.consumed++
	p.room.Broadcast()
	p.mu.Unlock()
	clear(list) // of the texts it would keep alive
	select {
	case p.used <- list[:0]:
	default:
	}
}
