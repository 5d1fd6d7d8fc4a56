package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/vault"
	"rekey/commands/store/vault/vaulttest"
	"rekey/commands/storetest"
)

var (
	oldValue = secret.NewValue("canary-old-2f9c1b")
	newValue = secret.NewValue("canary-new-8e07d4")
	escrowed = store.Escrow{Run: "r1", Old: oldValue, New: newValue}
)

func free(context.Context) error { return nil }

// publish is the write of a rotation's overlap.
func publish(from string, fence int64) store.Change {
	return store.Change{From: from, Want: store.State{Current: newValue, Previous: oldValue}, Run: "r1", FenceNumber: fence, Fence: free}
}

// process answers a Store whose requests a Fault can tell apart by their token.
func process(t *testing.T, srv *vaulttest.Server, number int64) (s *vault.Store, token string) {
	t.Helper()
	token = fmt.Sprintf("hvs.canary-token-of-process-%d", number)
	srv.Grant(token, "", policy)
	s, err := vault.New(vault.Config{Address: srv.URL, Token: tokenOf(token)})
	if err != nil {
		t.Fatal(err)
	}
	return s, token
}

// rotate is what the engine does, from wherever an earlier attempt got to.
func rotate(ctx context.Context, s *vault.Store, fence int64) error {
	if err := s.Sweep(ctx, ref, "r1", fence); err != nil {
		return err
	}
	st, err := s.Read(ctx, ref)
	if err != nil {
		return err
	}
	if st.Current.Equal(oldValue) {
		e, err := s.Deposit(ctx, ref, escrowed, free)
		if err != nil {
			return err
		}
		if !e.New.Equal(newValue) || !e.Old.Equal(oldValue) {
			return errors.New("the escrow is not whole")
		}
		if err := write(ctx, s, store.State{Current: newValue, Previous: oldValue}, fence); err != nil {
			return err
		}
	}
	if err := write(ctx, s, store.State{Current: newValue}, fence); err != nil {
		return err
	}
	if err := s.Discard(ctx, ref, "r1"); err != nil {
		return err
	}
	return s.Forget(ctx, ref, oldValue)
}

func write(ctx context.Context, s *vault.Store, want store.State, fence int64) error {
	for {
		st, err := s.Read(ctx, ref)
		if err != nil {
			return err
		}
		_, err = s.Write(ctx, ref, store.Change{From: st.Revision, Want: want, Run: "r1", FenceNumber: fence, Fence: free})
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// ended checks the one end that a rotation has: the new value alone, nothing of rekey's
// beside it, and the old value nowhere.
func ended(t *testing.T, srv *vaulttest.Server, s *vault.Store) {
	t.Helper()
	st, err := s.Read(t.Context(), ref)
	if err != nil || !st.Current.Equal(newValue) || !st.Previous.IsZero() {
		t.Errorf("the secret is not the new value alone (%v)", err)
	}
	if _, err := s.Withdraw(t.Context(), ref, "r1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an escrow is left: %v", err)
	}
	if _, err := s.Deposit(t.Context(), ref, store.Escrow{Run: "r2", New: newValue}, func(context.Context) error { return errFence }); !errors.Is(err, errFence) {
		t.Errorf("the next rotation finds no free slot: %v", err)
	}
	if srv.Finds(oldValue.Reveal()) {
		t.Error("the old value is still stored somewhere")
	}
	if _, answer := srv.Do(http.MethodGet, "secret/data/"+ref.Location, nil); !strings.Contains(fmt.Sprint(answer), "PORT:8000") {
		t.Error("another key was lost")
	}
}

var errFence = errors.New("the fence closed")

// TestOneEndWhicheverRequestBreaks rotates once for each request a rotation sends, and
// breaks that request, carried out or not. A request that was not carried out may still
// be under way, and arrive before the successor, after its sweep or when all is over.
// The process goes on, or is dead from there. There is one end.
func TestOneEndWhicheverRequestBreaks(t *testing.T) {
	t.Parallel()
	for _, dead := range []bool{true, false} {
		for _, arrives := range []string{"acted, answer lost", "before the successor", "after the sweep", "in the end"} {
			t.Run(fmt.Sprintf("dead=%v/%s", dead, arrives), func(t *testing.T) {
				t.Parallel()
				for n := 0; ; n++ {
					if !breakAt(t, n, dead, arrives) {
						if n < 15 {
							t.Errorf("a rotation sent only %d requests", n)
						}
						return
					}
					if t.Failed() {
						t.Fatalf("with request %d broken", n)
					}
				}
			})
		}
	}
}

// breakAt reports whether there was a request number n.
func breakAt(t *testing.T, n int, dead bool, arrives string) bool {
	t.Helper()
	srv := serve(t)
	defer srv.Close()
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal(), "PORT": 8000})
	s, token := process(t, srv, 1)
	fault := &vaulttest.Fault{Token: token, Skip: n, Act: arrives == "acted, answer lost"}
	if dead {
		fault.Before = func() { srv.Inject(&vaulttest.Fault{Token: token, Times: 1 << 30}) }
	}
	srv.Inject(fault)
	err := rotate(t.Context(), s, 1)
	hit := srv.Left(fault) == 0
	if !hit && err != nil {
		t.Fatalf("nothing broke: %v", err)
	}
	storetest.AssertLeaksNoSecret(t, []secret.Value{oldValue, newValue, secret.NewValue(token)}, err, s)
	if arrives == "before the successor" {
		srv.Deliver(fault)
	}
	fence := int64(1)
	if dead {
		fence = 2
		s, _ = process(t, srv, 2)
	}
	if arrives == "after the sweep" {
		if err := s.Sweep(t.Context(), ref, "r1", fence); err != nil {
			t.Errorf("Sweep: %v", err)
		}
		srv.Deliver(fault)
	}
	if err := rotate(t.Context(), s, fence); err != nil {
		t.Errorf("carrying on: %v", err)
	}
	srv.Deliver(fault)
	ended(t, srv, s)
	return hit
}

// lose breaks the next write to path.
func lose(srv *vaulttest.Server, path string, act bool) *vaulttest.Fault {
	f := &vaulttest.Fault{Method: http.MethodPut, Path: path, Act: act}
	srv.Inject(f)
	return f
}

func TestAnActWhoseAnswerIsLostIsNoFailure(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	s := open(t, srv)
	st, err := s.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	lose(srv, "data/"+ref.Location, true)
	if changed, err := s.Write(t.Context(), ref, publish(st.Revision, 1)); !changed || err != nil {
		t.Errorf("Write: changed=%v, %v", changed, err)
	}
	lose(srv, "/escrow/", true)
	if e, err := s.Deposit(t.Context(), ref, escrowed, free); err != nil || !e.New.Equal(newValue) {
		t.Errorf("Deposit: %v", err)
	}
	if left := marks(srv); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// marks lists the announcements that are left.
func marks(srv *vaulttest.Server) string {
	status, answer := srv.Do("LIST", "secret/metadata/.rekey/"+ref.Location+"/prepared/X", nil)
	if status == http.StatusNotFound {
		return ""
	}
	return fmt.Sprint(answer["data"])
}

// TestWhatWasSaidNotToHappenDoesNotHappenLater: a proxy keeps a request for a while.
func TestWhatWasSaidNotToHappenDoesNotHappenLater(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	s := open(t, srv)
	st, err := s.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	late := lose(srv, "data/"+ref.Location, false)
	changed, err := s.Write(t.Context(), ref, publish(st.Revision, 1))
	if changed || !errors.Is(err, vault.ErrUnreachable) || !strings.Contains(err.Error(), "was left as it was") {
		t.Errorf("Write: changed=%v, %v", changed, err)
	}
	lateDeposit := lose(srv, "/escrow/", false)
	if _, err = s.Deposit(t.Context(), ref, escrowed, free); !errors.Is(err, vault.ErrUnreachable) || !strings.Contains(err.Error(), "no escrow was made") {
		t.Errorf("Deposit: %v", err)
	}
	for _, f := range []*vaulttest.Fault{late, lateDeposit} {
		if got := srv.Deliver(f); len(got) != 1 || got[0] != http.StatusBadRequest {
			t.Errorf("the late request was answered %v", got)
		}
	}
	if st, err = s.Read(t.Context(), ref); err != nil || !st.Current.Equal(oldValue) {
		t.Errorf("the late write was carried out (%v)", err)
	}
	if srv.Finds(newValue.Reveal()) {
		t.Error("the new value was stored although that was said not to have happened")
	}
}

// TestWhatIsNotKnownIsSaidAndSwept: the secret cannot be read any more when it is time
// to find out. The announcement must stay, although it could be removed.
func TestWhatIsNotKnownIsSaidAndSwept(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	s, token := process(t, srv, 1)
	st, err := s.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	late := lose(srv, "data/"+ref.Location, false)
	late.Before = func() { srv.Inject(&vaulttest.Fault{Token: token, Path: "data/" + ref.Location, Times: 1 << 30}) }
	changed, err := s.Write(t.Context(), ref, publish(st.Revision, 1))
	if changed || err == nil || !strings.Contains(err.Error(), "it is not known whether") {
		t.Errorf("Write: changed=%v, %v", changed, err)
	}
	if marks(srv) == "" {
		t.Fatal("nothing announces the write that may still come")
	}
	successor, _ := process(t, srv, 2)
	if err := successor.Sweep(t.Context(), ref, "r1", 2); err != nil {
		t.Fatal(err)
	}
	if got := srv.Deliver(late); len(got) != 1 || got[0] != http.StatusBadRequest {
		t.Errorf("the late write was answered %v", got)
	}
	if left := marks(srv); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestTheCallersContextEndsDuringTheAct(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	s := open(t, srv)
	st, err := s.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lose(srv, "data/"+ref.Location, true).Before = cancel
	if changed, err := s.Write(ctx, ref, publish(st.Revision, 1)); !changed || err != nil {
		t.Errorf("the change is there, and Write says changed=%v, %v", changed, err)
	}
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	lose(srv, "/escrow/", false).Before = giveUp
	if _, err := s.Deposit(ctx, ref, escrowed, free); !errors.Is(err, context.Canceled) {
		t.Errorf("Deposit: %v", err)
	}
	if left := marks(srv); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// TestASleeperOfAFinishedRunLeavesNoEscrow: the run went on without it and ended, and
// the slot is free again. The number of the slot's version must not begin anew.
func TestASleeperOfAFinishedRunLeavesNoEscrow(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal(), "PORT": 8000})
	s := open(t, srv)
	_, err := s.Deposit(t.Context(), ref, escrowed, func(ctx context.Context) error {
		successor := open(t, srv)
		if err := rotate(ctx, successor, 2); err != nil {
			t.Errorf("the successor: %v", err)
		}
		return nil
	})
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("the sleeper's deposit: %v", err)
	}
	ended(t, srv, s)
}

// TestASweepIsForOneRun: fence numbers count per run, so another run's says nothing.
func TestASweepIsForOneRun(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	s := open(t, srv)
	st, err := s.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	sweep := func(ctx context.Context) error {
		for _, run := range []string{"r", "r2", "r11", "write"} {
			if err := open(t, srv).Sweep(ctx, ref, run, 99); err != nil {
				return err
			}
		}
		return nil
	}
	c := publish(st.Revision, 1)
	c.Fence = sweep
	if changed, err := s.Write(t.Context(), ref, c); !changed || err != nil {
		t.Errorf("Write: changed=%v, %v", changed, err)
	}
	if _, err := s.Deposit(t.Context(), ref, escrowed, sweep); err != nil {
		t.Errorf("Deposit: %v", err)
	}
}

// TestAnErrorIsNotAlwaysARefusal: a gateway's error may come after the act.
func TestAnErrorIsNotAlwaysARefusal(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout} {
		srv := serve(t)
		put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
		s := open(t, srv)
		st, err := s.Read(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		lose(srv, "data/"+ref.Location, true).Status = status
		if changed, err := s.Write(t.Context(), ref, publish(st.Revision, 1)); !changed || err != nil {
			t.Errorf("%d after the act: changed=%v, %v", status, changed, err)
		}
	}
}

// TestASecretMadeAnewIsAnotherOne: its versions begin at 1 again.
func TestASecretMadeAnewIsAnotherOne(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	put(t, srv, ref.Location, map[string]any{"X": oldValue.Reveal()})
	s := open(t, srv)
	st, err := s.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	srv.Do(http.MethodDelete, "secret/metadata/"+ref.Location, nil)
	put(t, srv, ref.Location, map[string]any{"X": "another"})
	if changed, err := s.Write(t.Context(), ref, publish(st.Revision, 1)); changed || !errors.Is(err, store.ErrConflict) {
		t.Errorf("Write: changed=%v, %v", changed, err)
	}
}
