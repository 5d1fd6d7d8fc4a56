// Package storetest is the contract every store of secrets must keep, as tests. It
// exists because the rotation engine rests on that contract alone: what is promised
// about fences, conflicts and escrows must hold wherever a value lives.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// Place is one fresh place with a store on it.
type Place struct {
	Store store.Store
	// Ref names a secret that has a Current value, no Previous one, and room for both.
	Ref store.Ref
	// Neighbour is another secret, with a Current value, kept in the same place.
	Neighbour store.Ref
	// Another answers a second Store on the same place, as another process has.
	Another func() store.Store
	// Disturb changes the place as a person would, without touching the secrets.
	Disturb func(t *testing.T)
}

// Harness makes a Place whose Ref and Neighbour hold the given values. It is called
// from parallel tests.
type Harness func(t *testing.T, current, neighbour secret.Value) Place

// The values of the suite: recognisable, so that a leak is found.
var (
	first  = secret.NewValue("canary-first-6b1f0c")
	second = secret.NewValue("canary-second-93ae47")
	third  = secret.NewValue("canary-third-d205e8")
	beside = secret.NewValue("canary-beside-7c44b1")
	all    = []secret.Value{first, second, third, beside}
)

var errLost = errors.New("the run was taken over")

// Run holds stores made by h to the contract.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, p *placed){
		"Read":                         reads,
		"Write":                        writes,
		"WriteIsIdempotent":            writeIsIdempotent,
		"WriteConflicts":               writeConflicts,
		"WriteRefusesNonsense":         writeRefusesNonsense,
		"FenceStopsAWrite":             fenceStopsAWrite,
		"FenceComesRightBeforeTheAct":  fenceComesRightBeforeTheAct,
		"SleeperFindsNothingToCommit":  sleeperFindsNothingToCommit,
		"SleeperIsStoppedAtItsFence":   sleeperIsStoppedAtItsFence,
		"SweepSparesTheOwner":          sweepSparesTheOwner,
		"Escrow":                       escrow,
		"EscrowOfAnotherRun":           escrowOfAnotherRun,
		"FenceStopsADeposit":           fenceStopsADeposit,
		"SleeperLeavesNoEscrow":        sleeperLeavesNoEscrow,
		"OneEscrowOfManyDepositors":    oneEscrowOfManyDepositors,
		"NeighboursLoseNothing":        neighboursLoseNothing,
		"ReadersNeverSeeAPart":         readersNeverSeeAPart,
		"AnEndedContextChangesNothing": anEndedContextChangesNothing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &placed{Place: h(t, first, beside)}
			test(t, p)
			p.leaksNothing(t)
		})
	}
}

// placed is a Place that remembers what was said, to look for leaks in the end.
type placed struct {
	Place
	said []any
}

func (p *placed) hear(things ...any) { p.said = append(p.said, things...) }

func (p *placed) leaksNothing(t *testing.T) {
	t.Helper()
	p.hear(p.Store, p.Ref)
	AssertLeaksNoSecret(t, all, p.said...)
}

// read answers the state, which must be readable.
func (p *placed) read(t *testing.T) store.State {
	t.Helper()
	st, err := p.Store.Read(t.Context(), p.Ref)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	p.hear(st)
	return st
}

// holds checks what the place holds by now.
func (p *placed) holds(t *testing.T, current, previous secret.Value) {
	t.Helper()
	if st := p.read(t); !st.Current.Equal(current) || !st.Previous.Equal(previous) {
		t.Errorf("the place holds current=%s previous=%s, want current=%s previous=%s",
			name(st.Current), name(st.Previous), name(current), name(previous))
	}
}

// name tells a value apart without showing it.
func name(v secret.Value) string {
	for i, n := range []string{"first", "second", "third", "beside"} {
		if all[i].Equal(v) {
			return n
		}
	}
	if v.IsZero() {
		return "nothing"
	}
	return "something else"
}

// fails checks an error's class.
func (p *placed) fails(t *testing.T, what string, err, want error) {
	t.Helper()
	p.hear(err)
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want one that is %q", what, err, want)
	}
}

// change is a write of current and previous by run r1 under fence 1.
func change(from store.State, current, previous secret.Value) store.Change {
	return store.Change{
		From: from.Revision, Want: store.State{Current: current, Previous: previous},
		Run: "r1", FenceNumber: 1, Fence: pass,
	}
}

func pass(context.Context) error { return nil }
func lost(context.Context) error { return errLost }

// write must succeed.
func (p *placed) write(t *testing.T, c store.Change) {
	t.Helper()
	changed, err := p.Store.Write(t.Context(), p.Ref, c)
	p.hear(c, err)
	if err != nil || !changed {
		t.Fatalf("Write: changed=%v, %v", changed, err)
	}
}

// gate is a Fence that tells when it is reached and waits to be let through.
type gate struct {
	reached chan struct{}
	open    chan error
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan error, 1)} }

func (g *gate) fence(ctx context.Context) error {
	close(g.reached)
	select {
	case err := <-g.open:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait fails the test when the fence is never reached.
func (g *gate) wait(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case <-g.reached:
	case err := <-done:
		t.Fatalf("ended before its fence: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("the fence was not reached within 30 s")
	}
}

// differ compares two escrows without showing values.
func differ(want, got store.Escrow) string {
	show := func(e store.Escrow) string {
		return fmt.Sprintf("run %s, old %s, new %s", e.Run, name(e.Old), name(e.New))
	}
	return cmp.Diff(show(want), show(got))
}
