package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// neighboursLoseNothing lets two rotations work on one place at once, each from a
// Store of its own. Whoever was told that a value was written must find it there
// until writing the next one.
func neighboursLoseNothing(t *testing.T, p *placed) {
	const rounds = 25
	var wg sync.WaitGroup
	for i, ref := range []store.Ref{p.Ref, p.Neighbour} {
		wg.Go(func() {
			s := p.Another()
			for n := range rounds {
				want := secret.NewValue(fmt.Sprintf("value-%d-%d", i, n))
				if !insist(t, s, ref, want, fmt.Sprintf("r%d", i), int64(n)) {
					return
				}
				if st, err := s.Read(t.Context(), ref); err != nil || !st.Current.Equal(want) {
					t.Errorf("writer %d, round %d: a value that was written is lost (%v)", i, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// insist writes until there is no conflict, as the engine does.
func insist(t *testing.T, s store.Store, ref store.Ref, want secret.Value, run string, fence int64) bool {
	for {
		st, err := s.Read(t.Context(), ref)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			t.Errorf("Read: %v", err)
			return false
		}
		_, err = s.Write(t.Context(), ref, store.Change{From: st.Revision, Want: store.State{Current: want, Previous: st.Previous}, Run: run, FenceNumber: fence, Fence: pass})
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			t.Errorf("Write: %v", err)
			return false
		}
		return true
	}
}

// readersNeverSeeAPart reads all the time while the pair (Current, Previous) is
// exchanged back and forth.
func readersNeverSeeAPart(t *testing.T, p *placed) {
	p.write(t, change(p.read(t), second, first))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			s := p.Another()
			for {
				select {
				case <-stop:
					return
				default:
				}
				st, err := s.Read(t.Context(), p.Ref)
				if errors.Is(err, store.ErrConflict) {
					continue
				}
				whole := st.Current.Equal(second) && st.Previous.Equal(first) || st.Current.Equal(first) && st.Previous.Equal(second)
				if err != nil || !whole {
					t.Errorf("a reader saw current=%s previous=%s (%v)", name(st.Current), name(st.Previous), err)
					return
				}
			}
		})
	}
	for n := range 30 {
		current, previous := first, second
		if n%2 == 1 {
			current, previous = second, first
		}
		p.write(t, change(p.read(t), current, previous))
	}
	close(stop)
	wg.Wait()
}
