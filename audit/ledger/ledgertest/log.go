package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
)

func entries(t *testing.T, s ledger.Store) {
	full := ledger.Entry{
		At: moment, Actor: "slack:U012AB3CD (alice)", Action: "rotate.requested", Subject: "production/REVALIDATE_SECRET",
		Run: "r-1", Why: "found in a CI log", Result: "accepted", Detail: map[string]string{"mode": "compromised", "<html>": "&"},
	}
	other := ledger.Entry{Action: "other", Run: "r-2"}
	dateless := ledger.Entry{Action: "dateless", Run: "r-1", Detail: map[string]string{}}
	before := time.Now().Add(-time.Second)
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		return errors.Join(tx.Append(ctx, &full), tx.Append(ctx, &other), tx.Append(ctx, &dateless))
	})
	for i, e := range []ledger.Entry{full, other, dateless} {
		if e.Seq != int64(i)+1 || e.Hash == (ledger.Hash{}) {
			t.Errorf("entry %d was given number %d and hash %s", i+1, e.Seq, e.Hash)
		}
	}
	if !full.At.Equal(kept) || full.At.Location() != time.UTC {
		t.Errorf("At is %v, want %v", full.At, kept)
	}
	if dateless.At.Before(before) || dateless.At.After(time.Now().Add(time.Second)) || dateless.At != dateless.At.Truncate(time.Microsecond) {
		t.Errorf("an entry without a time got %v", dateless.At)
	}
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		got, err := tx.Entries(ctx, "r-1")
		if diff := cmp.Diff([]ledger.Entry{full, dateless}, got); diff != "" {
			t.Errorf("Entries (-want +got):\n%s", diff)
		}
		return err
	})
	if diff := cmp.Diff([]ledger.Entry{other, dateless}, export(t, s, 2)); diff != "" {
		t.Errorf("Export from 2 (-want +got):\n%s", diff)
	}
	stop := errors.New("stop")
	wantErr(t, "an error from yield", s.Export(t.Context(), 1, func(ledger.Entry) error { return stop }), stop)
}

func anyText(t *testing.T, s ledger.Store) {
	hostile := "nul \x00, half a rune \xc3, 'quotes\" \\ $1 ?1 🔑 \u2028"
	e := ledger.Entry{At: time.Unix(0, 0), Why: hostile, Detail: map[string]string{hostile: hostile}}
	update(t, s, func(ctx context.Context, tx ledger.Tx) error {
		return errors.Join(
			tx.Append(ctx, &e),
			tx.InsertRun(ctx, ledger.Run{ID: "r-\x00", Reason: hostile}),
			tx.InsertRequest(ctx, ledger.Request{ID: "q", Answer: hostile}),
		)
	})
	if want := ledger.CleanText(hostile); e.Why != want || e.Detail[want] != want || strings.Contains(want, "\x00") || !utf8.ValidString(want) {
		t.Errorf("kept as %q", e.Why)
	}
	if diff := cmp.Diff([]ledger.Entry{e}, export(t, s, 1)); diff != "" {
		t.Errorf("Export (-want +got):\n%s", diff)
	}
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		r, err := tx.Run(ctx, "r-\x00")
		if r.Reason != ledger.CleanText(hostile) {
			t.Errorf("reason kept as %q", r.Reason)
		}
		return err
	})
	verified(t, s, 1)
}

func chain(t *testing.T, s ledger.Store) {
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		seq, h, err := tx.Head(ctx)
		if seq != 0 || h != (ledger.Hash{}) {
			t.Errorf("head of the empty log: %d %s", seq, h)
		}
		return err
	})
	verified(t, s, 0)
	var prev ledger.Hash
	for i := range int64(5) {
		e := appendOne(t, s, "act")
		if e.Seq != i+1 || e.Prev != prev || e.Hash != ledger.Sum(Key(t, 0), e) {
			t.Fatalf("entry %d does not follow its predecessor: %+v", i+1, e)
		}
		prev = e.Hash
	}
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		seq, h, err := tx.Head(ctx)
		if seq != 5 || h != prev {
			t.Errorf("head: got %d %s, want 5 %s", seq, h, prev)
		}
		return err
	})
	verified(t, s, 5)
	anchor := ledger.Anchor{Seq: 5, Hash: prev}
	if v, err := ledger.VerifyAnchors(t.Context(), s, anchor); err != nil || !v.OK {
		t.Errorf("a true anchor: %+v, %v", v, err)
	}
	anchor.Hash[0]++
	if v, err := ledger.VerifyAnchors(t.Context(), s, anchor); err != nil || v.OK || v.BadSeq != 5 {
		t.Errorf("a false anchor: %+v, %v", v, err)
	}
	anchor.Seq = 9
	if v, err := ledger.VerifyAnchors(t.Context(), s, anchor); err != nil || v.OK || v.BadSeq != 9 {
		t.Errorf("an anchor past the end: %+v, %v", v, err)
	}
}

func concurrentWriters(t *testing.T, s ledger.Store) {
	const writers, each = 32, 15
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			var last int64
			for i := range each {
				a := ledger.Entry{Action: "a", Run: fmt.Sprint(w)}
				b := ledger.Entry{Action: "b", Run: fmt.Sprint(w)}
				err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
					if err := tx.Append(ctx, &a); err != nil {
						return err
					}
					if i%5 == 4 {
						return errNo
					}
					return tx.Append(ctx, &b)
				})
				switch {
				case i%5 == 4:
					wantErr(t, "a refused change", err, errNo)
				case err != nil:
					t.Errorf("Update: %v", err)
				case b.Seq != a.Seq+1 || a.Seq <= last:
					t.Errorf("entries of one transaction are numbered %d and %d, after %d", a.Seq, b.Seq, last)
				default:
					last = b.Seq
				}
			}
		})
	}
	wg.Wait()
	verified(t, s, writers*each/5*4*2)
}

var errNo = errors.New("no")

// neighbours makes calls share a commit: while the first one's function waits, all
// the others queue up behind it.
func neighbours(t *testing.T, s ledger.Store) {
	hold := make(chan struct{})
	started := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		var once sync.Once
		if err := s.Update(t.Context(), func(context.Context, ledger.Tx) error {
			once.Do(func() { close(started); <-hold })
			return nil
		}); err != nil {
			t.Errorf("the call in front: %v", err)
		}
	})
	<-started
	for i := range 30 {
		wg.Go(func() {
			e := ledger.Entry{Action: fmt.Sprint(i)}
			err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
				if err := errors.Join(tx.Append(ctx, &e), tx.InsertRun(ctx, ledger.Run{ID: fmt.Sprint(i)})); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return errNo
				case 2:
					panic("odd")
				}
				return nil
			})
			var p *ledger.PanicError
			if ok := [...]bool{err == nil, errors.Is(err, errNo), errors.As(err, &p)}[i%3]; !ok {
				t.Errorf("call %d: %v", i, err)
			}
			if (i%3 == 0) != (e.Seq > 0) {
				t.Errorf("call %d: entry got number %d", i, e.Seq)
			}
		})
	}
	close(hold)
	wg.Wait()
	verified(t, s, 10)
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		rs, err := tx.Runs(ctx, ledger.RunFilter{})
		if len(rs) != 10 {
			t.Errorf("%d runs were kept, want 10", len(rs))
		}
		return err
	})
}

func rollsBack(t *testing.T, s ledger.Store) {
	e := ledger.Entry{Action: "never"}
	change := func(ctx context.Context, tx ledger.Tx) error {
		return errors.Join(tx.Append(ctx, &e), tx.InsertRequest(ctx, ledger.Request{ID: "never"}))
	}
	err := s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		return errors.Join(change(ctx, tx), errNo)
	})
	wantErr(t, "Update", err, errNo)
	err = s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		if err := change(ctx, tx); err != nil {
			return err
		}
		panic("Tr0ub4dor&3")
	})
	var p *ledger.PanicError
	if !errors.As(err, &p) || p.Value != "Tr0ub4dor&3" || len(p.Stack) == 0 {
		t.Errorf("a panic was answered with %v", err)
	} else if strings.Contains(err.Error(), "Tr0ub4dor") {
		t.Error("the error's text holds what was panicked with")
	}
	if e.Seq != 0 {
		t.Errorf("an entry that was rolled back got number %d", e.Seq)
	}
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.Request(ctx, "never")
		wantErr(t, "Request", err, ledger.ErrNotFound)
		return nil
	})
	appendOne(t, s, "after")
	verified(t, s, 1)
}

func goexit(t *testing.T, s ledger.Store) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
			_ = tx.Append(ctx, &ledger.Entry{Action: "never"})
			runtime.Goexit()
			return nil
		})
		t.Error("Update returned into a goroutine that was ended")
	}()
	<-done
	appendOne(t, s, "after")
	verified(t, s, 1)
}

func views(t *testing.T, s ledger.Store) {
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		wantErr(t, "Append", tx.Append(ctx, &ledger.Entry{}), ledger.ErrReadOnly)
		wantErr(t, "InsertRun", tx.InsertRun(ctx, ledger.Run{ID: "r"}), ledger.ErrReadOnly)
		_, err := tx.ClaimRun(ctx, "r", "a")
		wantErr(t, "ClaimRun", err, ledger.ErrReadOnly)
		return nil
	})
	wantErr(t, "an error from fn", s.View(t.Context(), func(context.Context, ledger.Tx) error { return errNo }), errNo)
}

// snapshot reads twice in one View while somebody writes in between, which must not
// have to wait either.
func snapshot(t *testing.T, s ledger.Store) {
	appendOne(t, s, "before")
	view(t, s, func(ctx context.Context, tx ledger.Tx) error {
		first, _, err := tx.Head(ctx)
		if err != nil {
			return err
		}
		appendOne(t, s, "meanwhile")
		second, _, err := tx.Head(ctx)
		if first != 1 || second != 1 {
			t.Errorf("one snapshot shows heads %d and %d, want 1 and 1", first, second)
		}
		return err
	})
	verified(t, s, 2)
}

// deadlines uses a function that outlasts its ctx; a database that does is in
// RunBlocked.
func deadlines(t *testing.T, s ledger.Store) {
	e := ledger.Entry{Action: "never"}
	add := func(ctx context.Context, tx ledger.Tx) error { return tx.Append(ctx, &e) }

	over, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, "a ctx that was over before", s.Update(over, add), ledger.ErrNotStarted)

	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := s.Update(short, func(ctx context.Context, tx ledger.Tx) error {
		<-ctx.Done()
		return add(ctx, tx)
	})
	wantErr(t, "a ctx that ended before COMMIT", err, ledger.ErrNotStarted)
	wantErr(t, "a ctx that ended before COMMIT", err, context.DeadlineExceeded)

	canceled, cancel := context.WithCancel(t.Context())
	err = s.Update(canceled, func(ctx context.Context, tx ledger.Tx) error {
		cancel()
		return add(ctx, tx)
	})
	wantErr(t, "a ctx that was cancelled", err, ledger.ErrNotStarted)

	type key struct{}
	withValue := context.WithValue(t.Context(), key{}, "v")
	if err := s.Update(withValue, func(ctx context.Context, _ ledger.Tx) error {
		if ctx.Value(key{}) != "v" {
			t.Error("the values of the caller's ctx are lost")
		}
		return nil
	}); err != nil {
		t.Errorf("Update: %v", err)
	}
	if e.Seq != 0 {
		t.Errorf("an entry that was not recorded got number %d", e.Seq)
	}
	appendOne(t, s, "after")
	verified(t, s, 1)
}

func outlived(t *testing.T, s ledger.Store) {
	var leaked ledger.Tx
	update(t, s, func(_ context.Context, tx ledger.Tx) error { leaked = tx; return nil })
	if err := leaked.Append(t.Context(), &ledger.Entry{}); err == nil {
		t.Error("a transaction that is over takes entries")
	}
	if _, err := leaked.Runs(t.Context(), ledger.RunFilter{}); err == nil {
		t.Error("a transaction that is over reads")
	}
	view(t, s, func(_ context.Context, tx ledger.Tx) error { leaked = tx; return nil })
	if _, err := leaked.Runs(t.Context(), ledger.RunFilter{}); err == nil {
		t.Error("a snapshot that is over reads")
	}
}

func closed(t *testing.T, s ledger.Store) {
	appendOne(t, s, "before")
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	nothing := func(context.Context, ledger.Tx) error { return nil }
	wantErr(t, "Update", s.Update(t.Context(), nothing), ledger.ErrClosed)
	wantErr(t, "View", s.View(t.Context(), nothing), ledger.ErrClosed)
	if err := s.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}
