package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
)

func requests(t *testing.T, s ledger.Store) {
	r := ledger.Request{ID: "envelope-1", At: moment, Run: "r-1", Answer: "Rotating REVALIDATE_SECRET."}
	update(t, s, func(ctx context.Context, tx ledger.Tx) error { return tx.InsertRequest(ctx, r) })
	r.At = kept
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		wantErr(t, "the same request again", tx.InsertRequest(ctx, r), ledger.ErrDuplicate)
		got, err := tx.Request(ctx, "envelope-1") // the transaction goes on after the refusal
		if diff := cmp.Diff(r, got); diff != "" {
			t.Errorf("Request (-want +got):\n%s", diff)
		}
		if err != nil {
			return err
		}
		_, err = tx.Request(ctx, "envelope-2")
		wantErr(t, "an unknown request", err, ledger.ErrNotFound)
		return nil
	})
}

func rotation(id, secret string) ledger.Run {
	return ledger.Run{
		ID: id, Kind: ledger.KindRotate, Secret: secret, Environment: "production", Actor: "cli:root",
		Incident: id, State: ledger.Queued, CreatedAt: kept,
	}
}

func runs(t *testing.T, s ledger.Store) {
	full := rotation("r-1", "REVALIDATE_SECRET")
	full.Mode, full.Reason, full.ReplyTo, full.Problem = "compromised", "found in a CI log", "https://hooks.example/1", "none"
	full.Paged, full.Since, full.WakeAt, full.StartedAt, full.EndedAt = true, kept, kept, kept, kept
	full.Report, full.Memo = []byte(`{"a":1}`), []byte{0, 1, 0xff}
	bare := ledger.Run{ID: "r-2", Kind: ledger.KindAudit, State: ledger.Queued}
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		return errors.Join(tx.InsertRun(ctx, full), tx.InsertRun(ctx, bare))
	})
	sameRun(t, s, full)
	sameRun(t, s, bare)

	changed := full
	changed.Mode, changed.State, changed.Paged, changed.Problem = "routine", ledger.Waiting, false, ""
	changed.WakeAt, changed.Report, changed.Memo, changed.Reason = kept.Add(time.Hour), nil, []byte("m"), "by hand"
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		c := changed
		if err := tx.UpdateRun(ctx, &c); err != nil {
			return err
		}
		if c.Version != 1 {
			t.Errorf("UpdateRun left Version at %d, want 1", c.Version)
		}
		return nil
	})
	changed.Version = 1
	sameRun(t, s, changed)
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.Run(ctx, "r-9")
		wantErr(t, "Run", err, ledger.ErrNotFound)
		_, err = tx.ClaimRun(ctx, "r-9", "a")
		wantErr(t, "ClaimRun", err, ledger.ErrNotFound)
		wantErr(t, "UpdateRun", tx.UpdateRun(ctx, &ledger.Run{ID: "r-9"}), ledger.ErrNotFound)
		wantErr(t, "ReleaseRun", tx.ReleaseRun(ctx, "r-9", "a", 1), ledger.ErrNotFound)
		wantErr(t, "InsertRun of a known id", tx.InsertRun(ctx, ledger.Run{ID: "r-2"}), ledger.ErrDuplicate)
		return nil
	})
}

func sameRun(t *testing.T, s ledger.Store, want ledger.Run) {
	t.Helper()
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		got, err := tx.Run(ctx, want.ID)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("run %s (-want +got):\n%s", want.ID, diff)
		}
		return err
	})
}

func listRuns(t *testing.T, s ledger.Store) {
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		for i := range 60 {
			r := rotation(fmt.Sprintf("r-%02d", i), fmt.Sprintf("SECRET_%d", i%2))
			r.CreatedAt = kept.Add(time.Duration(i/2) * time.Second) // pairs share a time
			r.State, r.Paged = ledger.Succeeded, i == 7
			if i == 3 {
				r.Kind, r.Environment, r.State = ledger.KindAudit, "staging", ledger.Running
			}
			if err := tx.InsertRun(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range []struct {
		name  string
		f     ledger.RunFilter
		first string
		n     int
	}{
		{"all", ledger.RunFilter{}, "r-59", 50},
		{"limit", ledger.RunFilter{Limit: 3}, "r-59", 3},
		{"no limit reached", ledger.RunFilter{Limit: 100}, "r-59", 60},
		{"secret", ledger.RunFilter{Secret: "SECRET_0"}, "r-58", 30},
		{"environment", ledger.RunFilter{Environment: "staging"}, "r-03", 1},
		{"kind", ledger.RunFilter{Kind: ledger.KindAudit}, "r-03", 1},
		{"active", ledger.RunFilter{Active: true}, "r-03", 1},
		{"unresolved", ledger.RunFilter{Unresolved: true}, "r-07", 1},
		{"several", ledger.RunFilter{Secret: "SECRET_0", Active: true}, "", 0},
	} {
		view(t, s, func(ctx context.Context, tx ledger.Tx) error {
			got, err := tx.Runs(ctx, c.f)
			first := ""
			if len(got) > 0 {
				first = got[0].ID
			}
			if first != c.first || len(got) != c.n {
				t.Errorf("%s: got %d runs from %q, want %d from %q", c.name, len(got), first, c.n, c.first)
			}
			return err
		})
	}
}

func oneRotation(t *testing.T, s ledger.Store) {
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		first := rotation("r-1", "A")
		if err := tx.InsertRun(ctx, first); err != nil {
			return err
		}
		wantErr(t, "a second rotation", tx.InsertRun(ctx, rotation("r-2", "A")), ledger.ErrBusy)

		audit, staging := rotation("r-3", "A"), rotation("r-4", "A")
		audit.Kind, staging.Environment = ledger.KindAudit, "staging"
		for _, r := range []ledger.Run{audit, staging, rotation("r-5", "B")} {
			if err := tx.InsertRun(ctx, r); err != nil {
				t.Errorf("run %s stands in nobody's way: %v", r.ID, err)
			}
		}
		for _, state := range []ledger.RunState{ledger.Running, ledger.Waiting, ledger.RollingBack} {
			first.State = state
			if err := tx.UpdateRun(ctx, &first); err != nil {
				return err
			}
			wantErr(t, "a second rotation while the first is "+string(state), tx.InsertRun(ctx, rotation("r-2", "A")), ledger.ErrBusy)
		}
		for i, state := range []ledger.RunState{ledger.Succeeded, ledger.RolledBack, ledger.Failed} {
			first.State = state
			if err := tx.UpdateRun(ctx, &first); err != nil {
				return err
			}
			first = rotation(fmt.Sprintf("r-1%d", i), "A")
			if err := tx.InsertRun(ctx, first); err != nil {
				t.Errorf("after the first %s: %v", state, err)
			}
		}
		// The refusals above did no harm to the transaction: the intent to refuse can be recorded.
		return tx.Append(ctx, &ledger.Entry{Action: "rotate.refused"})
	})
	err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		r, err := tx.Run(ctx, "r-1")
		if err != nil {
			return err
		}
		r.State = ledger.Running
		return tx.UpdateRun(ctx, &r)
	})
	wantErr(t, "reviving a rotation beside another", err, ledger.ErrBusy)
	verified(t, s, 1)
}

func oneRotationOfMany(t *testing.T, s ledger.Store) {
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
				return tx.InsertRun(ctx, rotation(fmt.Sprint(i), "A"))
			})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, ledger.ErrBusy) {
				t.Errorf("Update: %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d rotations of one secret were started at once", won.Load())
	}
}

func runFences(t *testing.T, s ledger.Store) {
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		return errors.Join(tx.InsertRun(ctx, rotation("r-1", "A")), beat(ctx, tx, "a"), beat(ctx, tx, "b"))
	})
	var mine ledger.Run
	update(t, s, func(ctx context.Context, tx ledger.Tx) (err error) {
		mine, err = tx.ClaimRun(ctx, "r-1", "a")
		return err
	})
	if mine.Holder != "a" || mine.Fence != 1 {
		t.Fatalf("claimed: holder %q, fence %d", mine.Holder, mine.Fence)
	}
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.ClaimRun(ctx, "r-1", "b")
		wantErr(t, "a claim by another", err, ledger.ErrHeld)
		_, err = tx.ClaimRun(ctx, "r-1", "a")
		wantErr(t, "a claim by the same replica in another job", err, ledger.ErrHeld)
		wantErr(t, "a release by another", tx.ReleaseRun(ctx, "r-1", "b", 1), ledger.ErrFenced)
		wantErr(t, "a release with an old fence", tx.ReleaseRun(ctx, "r-1", "a", 0), ledger.ErrFenced)
		return nil
	})
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.Bury(ctx, "a")
		return err
	})
	var theirs ledger.Run
	update(t, s, func(ctx context.Context, tx ledger.Tx) (err error) {
		theirs, err = tx.ClaimRun(ctx, "r-1", "b")
		return err
	})
	if theirs.Fence <= mine.Fence || theirs.Holder != "b" {
		t.Fatalf("taken over: holder %q, fence %d", theirs.Holder, theirs.Fence)
	}
	// The one that was paused wakes up: neither its change nor what goes with it is kept.
	late := ledger.Entry{Action: "late"}
	err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		if err := tx.Append(ctx, &late); err != nil {
			return err
		}
		mine.State = ledger.Succeeded
		return tx.UpdateRun(ctx, &mine)
	})
	wantErr(t, "a change by the one that was paused", err, ledger.ErrFenced)
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		theirs.State = ledger.Running
		return errors.Join(tx.UpdateRun(ctx, &theirs), tx.ReleaseRun(ctx, "r-1", "b", theirs.Fence))
	})
	theirs.Holder = ""
	sameRun(t, s, theirs)
	verified(t, s, 0)
}

func steps(t *testing.T, s ledger.Store) {
	full := ledger.Step{
		Run: "r-1", Index: 1, Key: "publish/set/api", Kind: "set", Stage: "publish", Consumer: "api",
		Title: "Publish the new value to api", State: ledger.StepRunning, Token: "t", Attempt: 2, Note: "n", Started: kept, Ended: kept,
	}
	zero := ledger.Step{Run: "r-1", Key: "first", State: ledger.StepPending}
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		return errors.Join(tx.PutStep(ctx, full), tx.PutStep(ctx, zero), tx.PutStep(ctx, ledger.Step{Run: "r-2"}))
	})
	full.State, full.Note, full.Attempt, full.Ended = ledger.StepDone, "seen", 3, kept.Add(time.Second)
	update(t, s, func(ctx context.Context, tx ledger.Tx) error { return tx.PutStep(ctx, full) })
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		got, err := tx.Steps(ctx, "r-1")
		if diff := cmp.Diff([]ledger.Step{zero, full}, got); diff != "" {
			t.Errorf("Steps (-want +got):\n%s", diff)
		}
		return err
	})
}

func deliveries(t *testing.T, s ledger.Store) {
	d := ledger.Delivery{ID: "r-1/board", Run: "r-1", Kind: "board", Subject: "x", Token: "t", Wanted: 1, CreatedAt: kept}
	put := func(wanted int64) (queued bool) {
		t.Helper()
		c := d
		c.Wanted, c.Subject = wanted, "changed"
		if wanted == 1 {
			c.Subject = "x"
		}
		update(t, s, func(ctx context.Context, tx ledger.Tx) (err error) {
			queued, err = tx.PutDelivery(ctx, c)
			return err
		})
		return queued
	}
	if !put(1) {
		t.Error("a new delivery needs a job")
	}
	if put(1) || put(3) || put(2) {
		t.Error("a delivery with something left to send has its job")
	}
	d.Wanted = 3
	sameDelivery(t, s, d)
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		c := d
		c.Ref, c.Sent, c.Attempts, c.LastError, c.SentAt, c.Wanted, c.Subject = "C1/1.2", 3, 4, "rate limited", kept, 0, "kept as it is"
		if err := tx.UpdateDelivery(ctx, &c); err != nil {
			return err
		}
		if c.Wanted != 3 {
			t.Errorf("UpdateDelivery read Wanted back as %d, want 3", c.Wanted)
		}
		return nil
	})
	d.Ref, d.Sent, d.Attempts, d.LastError, d.SentAt = "C1/1.2", 3, 4, "rate limited", kept
	sameDelivery(t, s, d)
	if put(3) {
		t.Error("nothing is left to send: no job is needed")
	}
	if !put(4) {
		t.Error("a finished delivery that is wanted again needs a job")
	}
	d.Wanted = 4
	sameDelivery(t, s, d)
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		got, err := tx.Deliveries(ctx, "r-1")
		if diff := cmp.Diff([]ledger.Delivery{d}, got); diff != "" {
			t.Errorf("Deliveries (-want +got):\n%s", diff)
		}
		_, missing := tx.Delivery(ctx, "nothing")
		wantErr(t, "Delivery", missing, ledger.ErrNotFound)
		return err
	})
}

func sameDelivery(t *testing.T, s ledger.Store, want ledger.Delivery) {
	t.Helper()
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		got, err := tx.Delivery(ctx, want.ID)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("delivery (-want +got):\n%s", diff)
		}
		return err
	})
}

func deliveryFences(t *testing.T, s ledger.Store) {
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.PutDelivery(ctx, ledger.Delivery{ID: "d", Wanted: 1})
		return errors.Join(err, beat(ctx, tx, "a"), beat(ctx, tx, "b"))
	})
	var mine ledger.Delivery
	update(t, s, func(ctx context.Context, tx ledger.Tx) (err error) {
		mine, err = tx.ClaimDelivery(ctx, "d", "a")
		return err
	})
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.ClaimDelivery(ctx, "d", "b")
		wantErr(t, "a claim by another", err, ledger.ErrHeld)
		_, err = tx.ClaimDelivery(ctx, "nothing", "b")
		wantErr(t, "a claim of nothing", err, ledger.ErrNotFound)
		wantErr(t, "a release with another fence", tx.ReleaseDelivery(ctx, "d", "a", mine.Fence+1), ledger.ErrFenced)
		o, err := tx.Bury(ctx, "a")
		if diff := cmp.Diff(ledger.Orphans{Replicas: []string{"a"}, Deliveries: []string{"d"}}, o); diff != "" {
			t.Errorf("Bury (-want +got):\n%s", diff)
		}
		return err
	})
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		mine.Sent = 1
		wantErr(t, "a change by the one that was paused", tx.UpdateDelivery(ctx, &mine), ledger.ErrFenced)
		theirs, err := tx.ClaimDelivery(ctx, "d", "b")
		if err != nil {
			return err
		}
		theirs.Sent = 1
		return errors.Join(tx.UpdateDelivery(ctx, &theirs), tx.ReleaseDelivery(ctx, "d", "b", theirs.Fence))
	})
}

func fingerprints(t *testing.T, s ledger.Store) {
	live := ledger.Fingerprint{
		Secret: "A", Environment: "production", Role: "live", Form: "hex",
		Length: 64, Roll: 4294967295, MAC: []byte{0, 255, 1}, At: kept,
	}
	other := live
	other.Form, other.MAC = "raw", []byte{7}
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		return tx.PutFingerprints(ctx, []ledger.Fingerprint{live, other})
	})
	live.Role, live.At = "retired", kept.Add(-time.Second)
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		return tx.PutFingerprints(ctx, []ledger.Fingerprint{live})
	})
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		got, err := tx.Fingerprints(ctx)
		if diff := cmp.Diff([]ledger.Fingerprint{live, other}, got); diff != "" {
			t.Errorf("Fingerprints (-want +got):\n%s", diff)
		}
		return err
	})
}
