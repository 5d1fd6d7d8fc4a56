package jobs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"rekey/audit/ledger"
)

// epoch is the time in which this process counts as alive under one replica id. It
// ends when the lease could not be renewed in time or was found to be taken away; all
// work begun in it is cancelled then, and the process goes on under a new id. The old
// one is never used again: claims made under it may have been given to others.
type epoch struct {
	id     string
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// newProcess makes a name that no other process ever had.
func newProcess(name string) string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return name + "." + hex.EncodeToString(b[:])
}

// here is the current epoch, or nil.
func (e *Engine) here() *epoch {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current
}

// begin makes a new epoch the current one.
func (e *Engine) begin(id string) *epoch {
	ctx := context.WithValue(context.Background(), replicaKey{}, id)
	ctx = context.WithValue(ctx, stoppingKey{}, (<-chan struct{})(e.stopping))
	ctx, cancel := context.WithCancelCause(ctx)
	ep := &epoch{id: id, ctx: ctx, cancel: cancel}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current, e.self = ep, id
	close(e.changed)
	e.changed = make(chan struct{})
	return ep
}

// end cancels everything done in ep.
func (e *Engine) end(ep *epoch, cause error) {
	if ep == nil {
		return
	}
	e.mu.Lock()
	if e.current == ep {
		e.current = nil
		close(e.changed)
		e.changed = make(chan struct{})
	}
	e.mu.Unlock()
	ep.cancel(cause)
}

// await answers the current epoch, waiting for one while the database cannot be
// reached; errStopping when the engine stops first.
func (e *Engine) await() (*epoch, error) {
	for {
		e.mu.Lock()
		ep, changed := e.current, e.changed
		e.mu.Unlock()
		if ep != nil {
			return ep, nil
		}
		select {
		case <-changed:
		case <-e.stopping:
			return nil, errStopping
		}
	}
}

// nextID names the next epoch's replica.
func (e *Engine) nextID() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.epochs++
	return fmt.Sprintf("%s.%d", e.process, e.epochs)
}

// join registers this process under a new replica id, buries those named in dead (and
// all others when alone), takes over what they left, and answers when the lease began.
func (e *Engine) join(ctx context.Context, dead []string, alone bool) (time.Time, error) {
	var (
		id   = e.nextID()
		sent time.Time
		left harvest
	)
	err := e.update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		sent = time.Now()
		bury := dead
		if alone {
			others, err := tx.Replicas(ctx)
			if err != nil {
				return err
			}
			bury = append([]string(nil), dead...)
			for _, r := range others {
				bury = append(bury, r.ID)
			}
		}
		if err := e.renew(ctx, tx, id); err != nil {
			return err
		}
		var err error
		left, err = e.bury(ctx, tx, search{dead: bury, net: true, self: true})
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	e.tell(left)
	e.begin(id)
	return sent, nil
}

// leave gives up whatever this process still holds, wakes others for it, and goes.
func (e *Engine) leave(ctx context.Context) error {
	e.end(e.here(), errStopping)
	e.mu.Lock()
	self := e.self
	e.mu.Unlock()
	return e.update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		if _, err := e.bury(ctx, tx, search{dead: []string{self}, net: true, self: true}); err != nil {
			return err
		}
		if err := tx.Leave(ctx, self); err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return err
		}
		return nil
	})
}

// renew renews (or begins) the lease of id.
func (e *Engine) renew(ctx context.Context, tx ledger.Tx, id string) error {
	host, _ := os.Hostname() // only shown to people
	return tx.Beat(ctx, ledger.Replica{ID: id, Host: host, PID: os.Getpid(), Seen: e.cfg.Now().UTC()}, e.cfg.Lease)
}

// update runs fn in a transaction that gets tryTimeout at most.
func (e *Engine) update(ctx context.Context, fn func(context.Context, ledger.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return e.cfg.Store.Update(ctx, fn)
}
