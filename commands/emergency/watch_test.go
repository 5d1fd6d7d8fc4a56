package emergency_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/estatetest"
	"rekey/commands/secret"
)

const watchID = "w-" + id

// watched is a world after a compromised rotation, with its watch.
func watched(t *testing.T, change func(*world)) *world {
	t.Helper()
	w := newWorld(t)
	if change != nil {
		change(w)
	}
	w.request(nil)
	if r := w.work(); r.State != ledger.Succeeded {
		t.Fatalf("the rotation ended %s: %s", r.State, r.Problem)
	}
	return w
}

// round lets a minute pass and a fresh process look.
func (w *world) round() ledger.Run {
	w.t.Helper()
	w.pass(time.Minute)
	w.claims++
	replica := fmt.Sprint("watcher ", w.claims)
	var run ledger.Run
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		if err := tx.Beat(ctx, ledger.Replica{ID: replica}, -time.Second); err != nil {
			return err
		}
		var err error
		run, err = tx.ClaimRun(ctx, watchID, replica)
		return err
	})
	if err := w.engine().Work(w.t.Context(), run); err != nil {
		w.t.Fatalf("watching: %v", err)
	}
	w.view(func(ctx context.Context, tx ledger.Tx) (err error) { run, err = tx.Run(ctx, watchID); return err })
	return run
}

func (w *world) watchTold() []string {
	w.t.Helper()
	var names []string
	w.view(func(ctx context.Context, tx ledger.Tx) error {
		ds, err := tx.Deliveries(ctx, watchID)
		names = nil
		for _, d := range ds {
			names = append(names, strings.TrimPrefix(d.ID, watchID+"/"))
		}
		return err
	})
	slices.Sort(names)
	return names
}

// access writes a line of the access log as of some seconds ago.
func (w *world) access(addr string, status int) {
	w.t.Helper()
	at := w.clock().Add(-20 * time.Second).Format("02/Jan/2006:15:04:05 -0700")
	w.write(w.estate.Log("access"), fmt.Sprintf(`%s - - [%s] "POST /api/revalidate/ HTTP/1.1" %d 29 "-" "curl/8.5"`, addr, at, status))
}

func (w *world) write(path, line string) {
	w.t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := fmt.Fprintln(f, line); err != nil {
		w.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func TestAWatchFollowsACompromisedRotation(t *testing.T) {
	t.Parallel()
	w := watched(t, nil)
	first := w.round()
	if first.State != ledger.Waiting || first.Paged || len(w.watchTold()) != 0 {
		t.Fatalf("in quiet the watch is %+v and tells %v", first, w.watchTold())
	}
	entries := len(w.allEntries())
	w.round()
	if n := len(w.allEntries()); n != entries {
		t.Errorf("a quiet look wrote %d entries", n-entries)
	}

	w.pass(time.Minute)
	w.access(estatetest.AttackerAddr, 401)
	w.access(estatetest.AttackerAddr, 401)
	came := w.round()
	if !came.Paged || !strings.Contains(came.Problem, estatetest.AttackerAddr) {
		t.Errorf("the watch is %+v", came)
	}
	if got := strings.Join(w.watchTold(), " "); got != "page-trigger watch-came" {
		t.Errorf("told: %s", got)
	}

	w.pass(time.Minute)
	w.access(estatetest.AttackerAddr, 401)
	again := w.round()
	memo, err := commands.ReadWatch(again.Memo)
	if err != nil || memo.Refused != 3 {
		t.Errorf("counted %+v, %v", memo, err)
	}
	if again.Version == 0 || w.wanted("page-trigger") != w.wanted("watch-came") {
		t.Error("on-call was asked for twice")
	}

	w.pass(24 * time.Hour)
	w.access("10.0.0.7", 200)
	last := w.round()
	if last.State != ledger.Succeeded || last.EndedAt.IsZero() {
		t.Errorf("after a day the watch is %s", last.State)
	}
	if got := strings.Join(w.watchTold(), " "); got != "page-resolve page-trigger watch-came watch-ended" {
		t.Errorf("told: %s", got)
	}
}

// wanted is the version of a delivery of the watch that was asked for.
func (w *world) wanted(name string) (n int64) {
	w.t.Helper()
	w.view(func(ctx context.Context, tx ledger.Tx) error {
		d, err := tx.Delivery(ctx, watchID+"/"+name)
		n = d.Wanted
		return err
	})
	return n
}

func (w *world) allEntries() (all []ledger.Entry) {
	w.t.Helper()
	if err := w.store.Export(context.Background(), 1, func(e ledger.Entry) error { all = append(all, e); return nil }); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// A stranger that is let in after the death of the old value has the new one. That is
// said although on-call was woken before.
func TestAWatchSeesThatTheNewValueIsKnown(t *testing.T) {
	t.Parallel()
	w := watched(t, nil)
	w.pass(time.Minute)
	w.access(estatetest.AttackerAddr, 401)
	w.round()
	w.pass(time.Minute)
	w.access(estatetest.AttackerAddr, 200)
	r := w.round()
	if !strings.Contains(r.Problem, "the new one is known as well") {
		t.Errorf("the watch says %q", r.Problem)
	}
	if got := strings.Join(w.watchTold(), " "); got != "page-trigger watch-came watch-let-in" {
		t.Errorf("told: %s", got)
	}
	w.pass(24 * time.Hour)
	w.round()
	if slices.Contains(w.watchTold(), "page-resolve") {
		t.Error("the page was closed although somebody has the new value")
	}
}

// Our own services do not wake anybody, nor does a stranger elsewhere.
func TestAWatchIsNotWokenByHonestRequests(t *testing.T) {
	t.Parallel()
	w := watched(t, nil)
	w.pass(time.Minute)
	w.access("10.0.0.7", 200)
	w.access("10.0.0.7", 401)
	at := w.clock().Add(-20 * time.Second).Format("02/Jan/2006:15:04:05 -0700")
	w.write(w.estate.Log("access"), fmt.Sprintf(`203.0.113.9 - - [%s] "GET /wp-login.php HTTP/1.1" 403 29 "-" "zgrab"`, at))
	if r := w.round(); r.Paged || len(w.watchTold()) != 0 {
		t.Errorf("the watch is %+v and tells %v", r, w.watchTold())
	}
}

// An application with a tripwire tells the old value from any other wrong one.
func TestATripwireNamesWhoUsesTheOldValue(t *testing.T) {
	t.Parallel()
	var wire string
	w := watched(t, func(w *world) {
		wire = filepath.Join(t.TempDir(), "rekey.log")
		w.write(wire, w.clock().Add(-time.Hour).Format(time.RFC3339)+" INFO starting")
		w.cat.Secrets[0].Places[0].Tripwire = []secret.UsageSource{{Log: wire, Pattern: `retired secret used: variable=` + name + ` client=(?P<who>\S+)`}}
	})
	w.pass(time.Minute)
	w.write(wire, w.clock().Add(-10*time.Second).Format(time.RFC3339)+" ERROR retired secret used: variable="+name+" client=203.0.113.66 POST /api/revalidate/")
	r := w.round()
	if !r.Paged || !strings.Contains(r.Problem, "203.0.113.66") || !strings.Contains(r.Problem, "still uses the old value") {
		t.Errorf("the watch says %q", r.Problem)
	}
}

// What cannot be read is said, once.
func TestABlindWatchSaysSo(t *testing.T) {
	t.Parallel()
	w := watched(t, nil)
	if err := os.Remove(w.estate.Log("access")); err != nil {
		t.Fatal(err)
	}
	w.round()
	w.round()
	if got := strings.Join(w.watchTold(), " "); got != "watch-blind" {
		t.Errorf("told: %s", got)
	}
}

// A routine rotation, and one that went back, are not followed by a watch.
func TestOnlyADeadValueIsWatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(routine)
	w.work()
	w.pass(overlap)
	if r := w.work(); r.State != ledger.Succeeded {
		t.Fatalf("the rotation ended %s: %s", r.State, r.Problem)
	}
	w.view(func(ctx context.Context, tx ledger.Tx) error {
		runs, err := tx.Runs(ctx, ledger.RunFilter{Kind: ledger.KindWatch})
		if len(runs) != 0 {
			t.Errorf("a routine rotation is watched: %+v", runs)
		}
		return err
	})
}
