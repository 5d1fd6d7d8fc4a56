package storetest

import (
	"testing"

	"rekey/commands/secret"
)

// sleeperFindsNothingToCommit: a process is paused after its fence let it through and
// before its act. Its successor raises the fence, sweeps, and goes on. Then the
// sleeper wakes up.
func sleeperFindsNothingToCommit(t *testing.T, p *placed) {
	g, done := newGate(), make(chan error, 1)
	c := change(p.read(t), second, first)
	c.Fence = g.fence
	go func() {
		_, err := p.Store.Write(t.Context(), p.Ref, c)
		done <- err
	}()
	g.wait(t, done)
	successor := p.Another()
	if err := successor.Sweep(t.Context(), p.Ref, "r1", 2); err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	g.open <- nil
	err := <-done
	p.hear(err)
	if err == nil {
		t.Error("the sleeper's write went through after the sweep")
	}
	p.holds(t, first, secret.Value{})

	// The same once more, where the successor also writes before the sleeper wakes.
	g, done = newGate(), make(chan error, 1)
	c.From, c.Fence, c.FenceNumber = p.read(t).Revision, g.fence, 2
	go func() {
		_, err := p.Store.Write(t.Context(), p.Ref, c)
		done <- err
	}()
	g.wait(t, done)
	if err := successor.Sweep(t.Context(), p.Ref, "r1", 3); err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	st, err := successor.Read(t.Context(), p.Ref)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	back := change(st, third, first)
	back.FenceNumber = 3
	if changed, err := successor.Write(t.Context(), p.Ref, back); err != nil || !changed {
		t.Fatalf("the successor's write: changed=%v, %v", changed, err)
	}
	g.open <- nil
	if err := <-done; err == nil {
		t.Error("the sleeper's write went through after its successor's")
	}
	p.holds(t, third, first)
}

// sleeperIsStoppedAtItsFence: the process is paused before it prepares anything.
func sleeperIsStoppedAtItsFence(t *testing.T, p *placed) {
	c := change(p.read(t), second, first)
	if err := p.Another().Sweep(t.Context(), p.Ref, "r1", 2); err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	c.Fence = lost
	_, err := p.Store.Write(t.Context(), p.Ref, c)
	p.fails(t, "a write after the sweep", err, errLost)
	p.holds(t, first, secret.Value{})
}

// sweepSparesTheOwner: sweeping again under one's own number must not undo one's own
// work, and another run's is not ours to undo.
func sweepSparesTheOwner(t *testing.T, p *placed) {
	g, done := newGate(), make(chan error, 1)
	c := change(p.read(t), second, first)
	c.Fence, c.FenceNumber = g.fence, 2
	go func() {
		_, err := p.Store.Write(t.Context(), p.Ref, c)
		done <- err
	}()
	g.wait(t, done)
	for _, run := range []string{"r1", "r2", "r"} {
		if err := p.Another().Sweep(t.Context(), p.Ref, run, 2); err != nil {
			t.Fatalf("Sweep: %v", err)
		}
	}
	if err := p.Another().Sweep(t.Context(), p.Neighbour, "r2", 9); err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	g.open <- nil
	if err := <-done; err != nil {
		t.Errorf("a sweep hit a write it was not meant for: %v", err)
	}
	p.holds(t, second, first)
}
