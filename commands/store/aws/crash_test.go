package aws_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/aws"
	"rekey/commands/store/aws/awstest"
	"rekey/commands/storetest"
)

const name = "production/leather-api"

var (
	ref      = store.Ref{Location: name, Variable: "X", Previous: "X_OLD"}
	oldValue = secret.NewValue("canary-old-51be0f")
	newValue = secret.NewValue("canary-new-c0ffee")
	values   = []secret.Value{oldValue, newValue}

	before    = `{"n": 1e3, "X": "canary-old-51be0f", "z": "\u00e9"}`
	published = `{"n": 1e3, "X": "canary-new-c0ffee", "X_OLD": "canary-old-51be0f", "z": "\u00e9"}`
	switched  = `{"n": 1e3, "X": "canary-new-c0ffee", "z": "\u00e9"}`
)

func pass(context.Context) error { return nil }

// write brings the place to want as the engine does: read, then write from there.
func write(ctx context.Context, s *aws.Store, want store.State, fence int64) (bool, error) {
	st, err := s.Read(ctx, ref)
	if err != nil {
		return false, err
	}
	return s.Write(ctx, ref, store.Change{From: st.Revision, Want: want, Run: "r1", FenceNumber: fence, Fence: pass})
}

// labels answers rekey's labels on a secret.
func labels(s *awstest.Server) []string {
	var out []string
	for label := range s.Stages(name) {
		if strings.HasPrefix(label, "rekey-") {
			out = append(out, label)
		}
	}
	return out
}

// One request or answer is lost, or refused for the moment, at each place where that
// can happen: the write succeeds all the same, and is one write.
func TestOneLostAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []awstest.Kind{awstest.DropRequest, awstest.DropAnswer, awstest.ServerError, awstest.Throttle} {
		for _, operation := range []string{"GetSecretValue", "DescribeSecret", "PutSecretValue", "UpdateSecretVersionStage"} {
			t.Run(fmt.Sprint(operation, kind), func(t *testing.T) {
				t.Parallel()
				srv := server(t)
				srv.Create(name, before)
				s := open(t, srv)
				srv.Inject(awstest.Fault{Kind: kind, Operation: operation})
				if changed, err := write(t.Context(), s, store.State{Current: newValue, Previous: oldValue}, 1); err != nil || !changed {
					t.Fatalf("changed=%v, %v", changed, err)
				}
				if srv.Text(name, "AWSCURRENT") != published || srv.Text(name, "AWSPREVIOUS") != before || srv.Versions(name) != 2 {
					t.Errorf("%d versions; current is as wanted: %v", srv.Versions(name), srv.Text(name, "AWSCURRENT") == published)
				}
				if left := labels(srv); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

// No answer to the visible act ever comes, and no look afterwards is possible either.
// Whoever comes next finds one end.
func TestTheActIsDoneAndNobodyWasTold(t *testing.T) {
	t.Parallel()
	srv := server(t)
	srv.Create(name, before)
	s := open(t, srv)
	srv.Inject(awstest.Fault{Kind: awstest.DropAnswer, Operation: "UpdateSecretVersionStage", Stage: "AWSCURRENT", Before: func() {
		srv.Inject(awstest.Fault{Kind: awstest.DropRequest, Times: 1000})
	}})
	want := store.State{Current: newValue, Previous: oldValue}
	changed, err := write(t.Context(), s, want, 1)
	if err == nil || changed || errors.Is(err, store.ErrConflict) {
		t.Fatalf("changed=%v, %v: nothing can be known", changed, err)
	}
	storetest.AssertLeaksNoSecret(t, values, err)
	srv.Heal()
	next := open(t, srv)
	if err := next.Sweep(t.Context(), ref, "r1", 2); err != nil {
		t.Fatal(err)
	}
	if changed, err := write(t.Context(), next, want, 2); changed || err != nil {
		t.Errorf("writing what is there: changed=%v, %v", changed, err)
	}
	if left := labels(srv); len(left) > 0 || srv.Versions(name) != 2 {
		t.Errorf("%d versions; left behind: %v", srv.Versions(name), left)
	}
}

// A process loses its network for good after each of its requests in turn, with the
// request done or not. Its successor finds the old text or the new one, and a whole
// escrow or none, cleans up, and ends the run.
func TestDyingAfterAnyRequest(t *testing.T) {
	t.Parallel()
	for _, kind := range []awstest.Kind{awstest.DropRequest, awstest.DropAnswer} {
		seen := map[string]int{}
		for n, over := 0, false; !over; n++ {
			if n > 200 {
				t.Fatal("a run makes more than 200 requests")
			}
			srv := server(t)
			srv.Create(name, before)
			srv.Inject(awstest.Fault{Kind: kind, Skip: n, Times: 1_000_000})
			over = run(t.Context(), open(t, srv), 1) == nil
			text := srv.Text(name, "AWSCURRENT")
			switch text {
			case before, published, switched:
				seen[text]++
			default:
				t.Fatalf("dead after %d requests: neither the old text nor a new one", n)
			}
			srv.Heal()
			next := open(t, srv)
			if err := next.Sweep(t.Context(), ref, "r1", 2); err != nil {
				t.Fatalf("dead after %d requests: Sweep: %v", n, err)
			}
			for _, label := range labels(srv) {
				if !strings.HasPrefix(label, "rekey-escrow/") {
					t.Errorf("dead after %d requests: a sweep left %s", n, label)
				}
			}
			if e, err := next.Withdraw(t.Context(), ref, "r1"); err == nil {
				seen["escrow"]++
				if !e.Old.Equal(oldValue) || !e.New.Equal(newValue) {
					t.Fatalf("dead after %d requests: the escrow is not whole", n)
				}
			} else if !errors.Is(err, store.ErrNotFound) || text != before && text != switched {
				t.Fatalf("dead after %d requests: %v", n, err)
			}
			if srv.Text(name, "AWSCURRENT") != text {
				t.Fatalf("dead after %d requests: the sweep changed the text", n)
			}
			if text == switched {
				continue
			}
			if err := run(t.Context(), next, 2); err != nil {
				t.Fatalf("dead after %d requests: the successor: %v", n, err)
			}
			if left := labels(srv); len(left) > 0 || srv.Text(name, "AWSCURRENT") != switched {
				t.Errorf("dead after %d requests: left behind: %v", n, left)
			}
		}
		if seen[before]*seen[published]*seen[switched]*seen["escrow"] == 0 {
			t.Errorf("some moment was never hit")
		}
	}
}

// run is what the engine does with one place.
func run(ctx context.Context, s *aws.Store, fence int64) error {
	if err := s.Sweep(ctx, ref, "r1", fence); err != nil {
		return err
	}
	e, err := s.Deposit(ctx, ref, store.Escrow{Run: "r1", Old: oldValue, New: newValue}, pass)
	if err != nil {
		return err
	}
	for _, want := range []store.State{{Current: e.New, Previous: e.Old}, {Current: e.New}} {
		if _, err := write(ctx, s, want, fence); err != nil {
			return err
		}
	}
	if err := s.Forget(ctx, ref, oldValue); err != nil {
		return err
	}
	return s.Discard(ctx, ref, "r1")
}

// A move was sent and is still on its way when its sender is taken for dead. It
// arrives after its successor has swept.
func TestAMoveThatArrivesLate(t *testing.T) {
	t.Parallel()
	srv := server(t)
	srv.Create(name, before)
	next := open(t, srv)
	srv.Inject(awstest.Fault{Kind: awstest.Nothing, Operation: "UpdateSecretVersionStage", Stage: "AWSCURRENT", Before: func() {
		if err := next.Sweep(t.Context(), ref, "r1", 2); err != nil {
			t.Error(err)
		}
	}})
	changed, err := write(t.Context(), open(t, srv), store.State{Current: newValue, Previous: oldValue}, 1)
	if changed || !errors.Is(err, store.ErrConflict) {
		t.Errorf("changed=%v, %v, want %v", changed, err, store.ErrConflict)
	}
	if srv.Text(name, "AWSCURRENT") != before || len(labels(srv)) > 0 || srv.Stages(name)["AWSPENDING"] != "" {
		t.Errorf("left behind: %v", srv.Stages(name))
	}
}

// A deposit is completed while a sweep undoes it: one of the two wins, and the
// depositor is told which.
func TestASweepAmidADeposit(t *testing.T) {
	t.Parallel()
	for skip := range 5 {
		srv := server(t)
		srv.Create(name, before)
		next := open(t, srv)
		srv.Inject(awstest.Fault{Kind: awstest.Nothing, Operation: "UpdateSecretVersionStage", Skip: 1, Before: func() {
			// The sweep itself loses its network after some of its requests.
			srv.Inject(awstest.Fault{Kind: awstest.DropRequest, Operation: "UpdateSecretVersionStage", Skip: skip, Times: 3})
			_ = next.Sweep(t.Context(), ref, "r1", 2)
			srv.Heal()
		}})
		e, err := open(t, srv).Deposit(t.Context(), ref, store.Escrow{Run: "r1", Old: oldValue, New: newValue}, pass)
		got, gotErr := next.Withdraw(t.Context(), ref, "r1")
		if (err == nil) != (gotErr == nil) || err == nil && !got.New.Equal(e.New) {
			t.Errorf("sweep dead after %d: the depositor was told %v, and there is %v", skip, err, gotErr)
		}
		// Whatever stands there now, the run can go on.
		if _, err := next.Deposit(t.Context(), ref, store.Escrow{Run: "r1", Old: oldValue, New: newValue}, pass); err != nil {
			t.Errorf("sweep dead after %d: depositing again: %v", skip, err)
		}
		if err := next.Discard(t.Context(), ref, "r1"); err != nil || len(labels(srv)) > 0 {
			t.Errorf("sweep dead after %d: %v, left behind: %v", skip, err, labels(srv))
		}
	}
}

// A deposit is completed after a sweep has seen its draft and before it undoes it. The
// depositor was told that the escrow is kept, so it is.
func TestADepositThatWinsAgainstASweep(t *testing.T) {
	t.Parallel()
	srv := server(t)
	srv.Create(name, before)
	reached, open1, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := open(t, srv).Deposit(t.Context(), ref, store.Escrow{Run: "r1", Old: oldValue, New: newValue}, func(context.Context) error {
			close(reached)
			<-open1
			return nil
		})
		done <- err
	}()
	select {
	case <-reached:
	case err := <-done:
		t.Fatalf("ended before its fence: %v", err)
	}
	srv.Inject(awstest.Fault{Kind: awstest.Nothing, Operation: "UpdateSecretVersionStage", Before: func() {
		close(open1)
		if err := <-done; err != nil {
			t.Errorf("Deposit: %v", err)
		}
	}})
	next := open(t, srv)
	if err := next.Sweep(t.Context(), ref, "r1", 2); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	if e, err := next.Withdraw(t.Context(), ref, "r1"); err != nil || !e.New.Equal(newValue) {
		t.Errorf("the escrow that was promised is gone: %v", err)
	}
}
