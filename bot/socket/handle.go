package socket

import (
	"context"
	"fmt"
	"time"
)

// take queues an envelope for a handler, waiting while the queue is full.
func (k *Keeper) take(c *conn, f frame) {
	r := received{from: c, Envelope: Envelope{
		ID: f.ID, Type: f.Type, Payload: f.Payload, AcceptsResponse: f.AcceptsResponse,
		RetryAttempt: f.RetryAttempt, RetryReason: f.RetryReason, Arrived: k.cfg.Now(),
	}}
	k.mu.Lock()
	select {
	case <-k.stopping:
		k.mu.Unlock()
		return
	default:
	}
	k.inFlight.Add(1) // under the lock: shutdown must not have begun to wait
	k.mu.Unlock()

	select {
	case k.queue <- r:
		return
	default:
	}
	c.full.Store(true)
	k.queue <- r // handlers run until the queue is closed, so this ends
	c.touch()
	c.full.Store(false)
}

func (k *Keeper) handleAll(ctx context.Context) {
	for r := range k.queue {
		k.handleOne(ctx, r)
		k.inFlight.Done()
	}
}

// handleOne lets the handler commit and only then acknowledges.
func (k *Keeper) handleOne(ctx context.Context, r received) {
	log := k.cfg.Log.With("envelope", r.ID, "type", word(r.Type))
	payload, err := k.call(ctx, r.Envelope)
	if err != nil {
		log.Error("envelope not acknowledged", "why", err.Error())
		return
	}
	b, fits := encodeAck(r.Envelope, payload)
	if !fits {
		log.Error("answer left out of the acknowledgement: it is larger than Slack takes")
	}
	if k.cfg.Scrub != nil {
		b = k.cfg.Scrub(b)
	}
	if !k.acknowledge(ctx, r.from, b) {
		log.Warn("acknowledgement not delivered: no connection to Slack", "age", k.cfg.Now().Sub(r.Arrived).Round(time.Millisecond))
	}
}

// call runs the handler and turns a panic into an error. The panic's text is
// dropped, for it may quote what a person typed.
func (k *Keeper) call(ctx context.Context, e Envelope) (payload any, err error) {
	defer func() {
		if p := recover(); p != nil {
			payload, err = nil, fmt.Errorf("handler panicked (%T)", p)
		}
	}()
	return k.cfg.Handle(ctx, e)
}

// acknowledge writes b on first or, when that is gone, on any open connection,
// waiting up to AckWait for one to open. It reports whether a write succeeded.
func (k *Keeper) acknowledge(ctx context.Context, first *conn, b []byte) bool {
	tried := make(map[*conn]bool)
	deadline := time.NewTimer(k.cfg.AckWait)
	defer deadline.Stop()
	for {
		c, opened := k.pick(first, tried)
		if c == nil {
			select {
			case <-opened:
				continue
			case <-deadline.C:
				return false
			case <-ctx.Done():
				return false
			}
		}
		tried[c] = true
		wctx, cancel := context.WithTimeout(ctx, k.cfg.WriteTimeout)
		err := c.write(wctx, b)
		cancel()
		if err == nil {
			return true
		}
	}
}

// pick answers the connection to write on: first while it is open, else the newest
// not tried. Where there is none it answers a channel that is closed when one opens.
func (k *Keeper) pick(first *conn, tried map[*conn]bool) (*conn, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var best *conn
	for _, c := range k.open {
		if tried[c] {
			continue
		}
		if c == first {
			return c, nil
		}
		best = c
	}
	return best, k.opened
}
