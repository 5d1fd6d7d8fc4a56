package storetest

import (
	"sync"
	"testing"

	"rekey/commands/secret"
	"rekey/commands/store"
)

func escrow(t *testing.T, p *placed) {
	_, err := p.Store.Withdraw(t.Context(), p.Ref, "r1")
	p.fails(t, "withdrawing what is not there", err, store.ErrNotFound)
	want := store.Escrow{Run: "r1", Old: first, New: second}
	got, err := p.Store.Deposit(t.Context(), p.Ref, want, pass)
	p.hear(got, err)
	if err != nil || differ(want, got) != "" {
		t.Fatalf("Deposit: %v (-want +got):\n%s", err, differ(want, got))
	}
	// After a crash the engine deposits again, with another value: the first counts.
	got, err = p.Another().Deposit(t.Context(), p.Ref, store.Escrow{Run: "r1", Old: first, New: third}, lost)
	if err != nil || differ(want, got) != "" {
		t.Errorf("depositing again: %v (-want +got):\n%s", err, differ(want, got))
	}
	got, err = p.Another().Withdraw(t.Context(), p.Ref, "r1")
	if err != nil || differ(want, got) != "" {
		t.Errorf("Withdraw: %v (-want +got):\n%s", err, differ(want, got))
	}
	// Neither the place nor its neighbour know of it.
	p.holds(t, first, secret.Value{})
	_, err = p.Store.Withdraw(t.Context(), p.Neighbour, "r1")
	p.fails(t, "withdrawing the neighbour's", err, store.ErrNotFound)
	// A write and a sweep leave it alone.
	p.write(t, change(p.read(t), second, first))
	if err := p.Store.Sweep(t.Context(), p.Ref, "r1", 9); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	if _, err := p.Store.Withdraw(t.Context(), p.Ref, "r1"); err != nil {
		t.Errorf("after a write and a sweep: %v", err)
	}
	for range 2 {
		if err := p.Store.Discard(t.Context(), p.Ref, "r1"); err != nil {
			t.Errorf("Discard: %v", err)
		}
		_, err = p.Store.Withdraw(t.Context(), p.Ref, "r1")
		p.fails(t, "withdrawing what was discarded", err, store.ErrNotFound)
	}
	if _, err := p.Store.Deposit(t.Context(), p.Ref, store.Escrow{Run: "r1", Old: first}, pass); err == nil {
		t.Error("an escrow without a new value was taken")
	}
	if _, err := p.Store.Deposit(t.Context(), p.Ref, want, nil); err == nil {
		t.Error("an escrow without a fence was taken")
	}
}

func escrowOfAnotherRun(t *testing.T, p *placed) {
	if _, err := p.Store.Deposit(t.Context(), p.Ref, store.Escrow{Run: "r1", Old: first, New: second}, pass); err != nil {
		t.Fatalf("Deposit: %v", err)
	}
	_, err := p.Store.Deposit(t.Context(), p.Ref, store.Escrow{Run: "r2", Old: first, New: third}, pass)
	p.fails(t, "depositing over another run's", err, store.ErrConflict)
	_, err = p.Store.Withdraw(t.Context(), p.Ref, "r2")
	p.fails(t, "withdrawing another run's", err, store.ErrNotFound)
	if err := p.Store.Discard(t.Context(), p.Ref, "r2"); err != nil {
		t.Errorf("discarding another run's is no error, and does nothing: %v", err)
	}
	if got, err := p.Store.Withdraw(t.Context(), p.Ref, "r1"); err != nil || !got.New.Equal(second) {
		t.Errorf("the first run's escrow is not what it was (%v)", err)
	}
	// The neighbour has a room of its own.
	if _, err := p.Store.Deposit(t.Context(), p.Neighbour, store.Escrow{Run: "r2", Old: beside, New: third}, pass); err != nil {
		t.Errorf("depositing beside: %v", err)
	}
}

func fenceStopsADeposit(t *testing.T, p *placed) {
	_, err := p.Store.Deposit(t.Context(), p.Ref, store.Escrow{Run: "r1", Old: first, New: second}, lost)
	p.fails(t, "a fenced deposit", err, errLost)
	_, err = p.Store.Withdraw(t.Context(), p.Ref, "r1")
	p.fails(t, "withdrawing what a fence stopped", err, store.ErrNotFound)
}

// sleeperLeavesNoEscrow: a process is paused in a deposit, its successor finishes the
// run, and only then it wakes up. An escrow now would block the next rotation.
func sleeperLeavesNoEscrow(t *testing.T, p *placed) {
	g, done := newGate(), make(chan error, 1)
	go func() {
		_, err := p.Store.Deposit(t.Context(), p.Ref, store.Escrow{Run: "r1", Old: first, New: second}, g.fence)
		done <- err
	}()
	g.wait(t, done)
	if err := p.Another().Sweep(t.Context(), p.Ref, "r1", 2); err != nil {
		t.Fatalf("Sweep: %v", err)
	}
	g.open <- nil
	err := <-done
	p.hear(err)
	if err == nil {
		t.Error("the sleeper's deposit went through after the sweep")
	}
	_, err = p.Store.Withdraw(t.Context(), p.Ref, "r1")
	p.fails(t, "withdrawing the sleeper's", err, store.ErrNotFound)
}

func oneEscrowOfManyDepositors(t *testing.T, p *placed) {
	var wg sync.WaitGroup
	got := make([]store.Escrow, 8)
	for i := range got {
		wg.Go(func() {
			v := second
			if i%2 == 1 {
				v = third
			}
			var err error
			if got[i], err = p.Another().Deposit(t.Context(), p.Ref, store.Escrow{Run: "r1", Old: first, New: v}, pass); err != nil {
				t.Errorf("Deposit: %v", err)
			}
		})
	}
	wg.Wait()
	for _, e := range got {
		if d := differ(got[0], e); d != "" {
			t.Errorf("two depositors were told different things:\n%s", d)
		}
	}
}
