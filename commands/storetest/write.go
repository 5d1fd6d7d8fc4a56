package storetest

import (
	"context"
	"errors"
	"testing"

	"rekey/commands/secret"
	"rekey/commands/store"
)

func reads(t *testing.T, p *placed) {
	p.holds(t, first, secret.Value{})
	a, b := p.read(t), p.read(t)
	if a.Revision == "" || a.Revision != b.Revision {
		t.Errorf("revisions of an untouched place: %q and %q", a.Revision, b.Revision)
	}
	p.Disturb(t)
	if c := p.read(t); c.Revision == a.Revision {
		t.Error("the place was changed and its revision was not")
	}
	p.holds(t, first, secret.Value{})
	missing := p.Ref
	missing.Variable += "_MISSING"
	_, err := p.Store.Read(t.Context(), missing)
	p.fails(t, "reading what is not there", err, store.ErrNotFound)
}

func writes(t *testing.T, p *placed) {
	before := p.read(t)
	p.write(t, change(before, second, first))
	p.holds(t, second, first)
	after := p.read(t)
	if after.Revision == before.Revision {
		t.Error("a write left the revision as it was")
	}
	p.write(t, change(after, second, secret.Value{}))
	p.holds(t, second, secret.Value{})
	p.write(t, change(p.read(t), third, second))
	p.write(t, change(p.read(t), second, third)) // the way back
	p.holds(t, second, third)
	st, err := p.Store.Read(t.Context(), p.Neighbour)
	if err != nil || !st.Current.Equal(beside) {
		t.Errorf("the neighbour holds %s now (%v)", name(st.Current), err)
	}
}

func writeIsIdempotent(t *testing.T, p *placed) {
	before := p.read(t)
	p.write(t, change(before, second, first))
	after := p.read(t)
	// From is stale, and the fence would stop it: neither matters when the place
	// holds what is wanted already.
	c := change(before, second, first)
	c.Fence = lost
	if changed, err := p.Store.Write(t.Context(), p.Ref, c); changed || err != nil {
		t.Errorf("writing the same again: changed=%v, %v", changed, err)
	}
	if again := p.read(t); again.Revision != after.Revision {
		t.Error("writing the same again touched the place")
	}
}

func writeConflicts(t *testing.T, p *placed) {
	before := p.read(t)
	p.Disturb(t)
	changed, err := p.Store.Write(t.Context(), p.Ref, change(before, second, first))
	p.fails(t, "writing from an old revision", err, store.ErrConflict)
	if changed {
		t.Error("a conflicting write says that it changed something")
	}
	_, err = p.Store.Write(t.Context(), p.Ref, change(store.State{}, second, first))
	p.fails(t, "writing from no revision", err, store.ErrConflict)
	p.holds(t, first, secret.Value{})
	// Changed while the write was under way.
	c := change(p.read(t), second, first)
	c.Fence = func(context.Context) error { p.Disturb(t); return nil }
	_, err = p.Store.Write(t.Context(), p.Ref, c)
	p.fails(t, "writing over a change made meanwhile", err, store.ErrConflict)
	p.holds(t, first, secret.Value{})
	missing := p.Ref
	missing.Variable += "_MISSING"
	_, err = p.Store.Write(t.Context(), missing, change(p.read(t), second, first))
	p.fails(t, "writing what is not there", err, store.ErrNotFound)
}

func writeRefusesNonsense(t *testing.T, p *placed) {
	before := p.read(t)
	without := p.Ref
	without.Previous = ""
	for what, attempt := range map[string]func() (bool, error){
		"an empty value": func() (bool, error) { return p.Store.Write(t.Context(), p.Ref, change(before, secret.Value{}, first)) },
		"a previous value without a place for it": func() (bool, error) {
			return p.Store.Write(t.Context(), without, change(before, second, first))
		},
		"no fence": func() (bool, error) {
			c := change(before, second, first)
			c.Fence = nil
			return p.Store.Write(t.Context(), p.Ref, c)
		},
	} {
		changed, err := attempt()
		p.hear(err)
		if changed || err == nil {
			t.Errorf("%s: changed=%v, %v", what, changed, err)
		}
	}
	p.holds(t, first, secret.Value{})
}

func fenceStopsAWrite(t *testing.T, p *placed) {
	c := change(p.read(t), second, first)
	c.Fence = lost
	changed, err := p.Store.Write(t.Context(), p.Ref, c)
	p.fails(t, "a fenced write", err, errLost)
	if changed {
		t.Error("a fenced write says that it changed something")
	}
	p.holds(t, first, secret.Value{})
}

func fenceComesRightBeforeTheAct(t *testing.T, p *placed) {
	before := p.read(t)
	calls := 0
	c := change(before, second, first)
	c.Fence = func(ctx context.Context) error {
		calls++
		st, err := p.Store.Read(ctx, p.Ref)
		if err != nil || st.Revision != before.Revision {
			t.Errorf("the change shows before its fence (%v)", err)
		}
		return nil
	}
	p.write(t, c)
	if calls != 1 {
		t.Errorf("the fence was called %d times", calls)
	}
}

func anEndedContextChangesNothing(t *testing.T, p *placed) {
	ctx, cancel := context.WithCancel(t.Context())
	before := p.read(t)
	cancel()
	_, read := p.Store.Read(ctx, p.Ref)
	_, write := p.Store.Write(ctx, p.Ref, change(before, second, first))
	_, deposit := p.Store.Deposit(ctx, p.Ref, store.Escrow{Run: "r1", Old: first, New: second}, pass)
	_, withdraw := p.Store.Withdraw(ctx, p.Ref, "r1")
	for i, err := range []error{read, write, deposit, withdraw, p.Store.Discard(ctx, p.Ref, "r1"), p.Store.Sweep(ctx, p.Ref, "r1", 1)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d after the end of its context: %v", i, err)
		}
	}
	p.holds(t, first, secret.Value{})
}
