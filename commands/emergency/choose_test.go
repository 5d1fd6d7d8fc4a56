package emergency_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/estatetest"
	"rekey/commands/issue"
	"rekey/commands/rotate"
	"rekey/commands/secret"
	"rekey/commands/usage"
)

// looks are the checks of a world: nothing but who uses an old value, read from the
// application's own log.
type looks struct {
	*usage.Looker
	w *world
}

func (w *world) checks() looks {
	w.t.Helper()
	looker, err := usage.New(usage.Config{Guard: w.guard, Clock: w.clock})
	if err != nil {
		w.t.Fatal(err)
	}
	return looks{looker, w}
}

func (l looks) Usage(ctx context.Context, sources []secret.UsageSource, since time.Time) (issue.Usage, error) {
	l.w.mu.Lock()
	seek := l.w.seek
	l.w.mu.Unlock()
	if seek != nil {
		seek()
	}
	return l.Look(ctx, sources, since)
}

func (looks) Run(context.Context, rotate.Subject, secret.Value, time.Time) (seen, failed []string) {
	return nil, nil
}
func (looks) Count(context.Context, *secret.Sessions) (string, error) { return "", nil }
func (looks) End(context.Context, *secret.Sessions) (string, error)   { return "", nil }
func (looks) Tidy(context.Context, *secret.Sessions) (string, error)  { return "", nil }

const (
	left     = "10.0.0.7"     // a caller of ours
	stranger = "203.0.113.66" // none
	drain    = "retire/drain"
)

// used writes what the application writes when somebody was verified with the old value
// just now.
func (w *world) used(addr string) {
	w.t.Helper()
	f, err := os.OpenFile(w.estate.Log("rekey"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	defer func() { // by the world's clock, too
		if err := os.Chtimes(f.Name(), w.clock(), w.clock()); err != nil {
			w.t.Error(err)
		}
	}()
	fmt.Fprintf(f, "INFO %s UTC rekey verified_with=previous variable=%s client=%s\n", w.clock().UTC().Format("2006-01-02 15:04:05,000"), name, addr)
}

// leftBehind is a world in which addr goes on using the old value of a compromised run,
// which has come to where it may stand.
func leftBehind(t *testing.T, addr string) (*world, ledger.Run) {
	t.Helper()
	w := newWorld(t)
	w.cat.Secrets[0].Places[0].Usage = []secret.UsageSource{{
		Log: w.estate.Log("rekey"), Pattern: `verified_with=previous variable=` + name + ` client=(?P<who>\S+)`,
	}}
	w.request(nil)
	w.at("switch/test/web settled", func() {
		// What rekey asked with it is there by the machine's clock, not by the world's.
		if err := os.Truncate(w.estate.Log("rekey"), 0); err != nil {
			t.Error(err)
		}
		w.pass(20 * time.Second)
		w.used(addr)
	})
	return w, w.work()
}

// wishes records a wish as the desk does.
func (w *world) wishes(wish ledger.Wish, who string) {
	w.t.Helper()
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		if err := tx.AskRun(ctx, id, wish); err != nil {
			return err
		}
		return tx.Append(ctx, &ledger.Entry{At: w.clock(), Actor: who, Action: string(wish) + ".requested", Run: id, Result: "accepted"})
	})
}

func (w *world) held() commands.Respite {
	w.t.Helper()
	d, ok := commands.Held(w.run())
	if !ok {
		w.t.Fatalf("the run does not stand: %s, %q, %v", w.run().State, w.note(drain), w.states())
	}
	return d
}

// note is what a step has seen.
func (w *world) note(key string) string {
	for _, s := range w.steps() {
		if s.Key == key {
			return s.Note
		}
	}
	return ""
}

// acts are the run's entries of an action.
func (w *world) acts(action string) (found []ledger.Entry) {
	for _, e := range w.entries() {
		if e.Action == action {
			found = append(found, e)
		}
	}
	return found
}

// ends wants the run to have ended well, with words in what the last look said.
func (w *world) ends(words ...string) {
	w.t.Helper()
	run := w.run()
	if run.State != ledger.Succeeded {
		w.t.Fatalf("the run is %s: %s %v", run.State, run.Problem, w.states())
	}
	for _, word := range words {
		if !strings.Contains(w.note(drain), word) {
			w.t.Errorf("the last look does not say %q: %s", word, w.note(drain))
		}
	}
	if d := commands.ReadRespite(run.Memo); d.Open {
		w.t.Error("the run has ended and still asks")
	}
	w.serves(false)
	w.holds()
}

// Nobody chooses: the old value ends by itself after 30 s, and what that costs is said.
func TestAnEndThatNobodyDecidesComesByItself(t *testing.T) {
	t.Parallel()
	w, run := leftBehind(t, left)
	d := w.held()
	if until := w.clock().Add(30 * time.Second); !d.Until.Equal(until) || run.WakeAt.After(until) || d.Times != 0 {
		t.Fatalf("it ends at %s and looks again at %s, want an end at %s", d.Until, run.WakeAt, until)
	}
	if !strings.Contains(d.Seen, left+" (once") || !strings.Contains(w.note(drain), "/rotate kill "+id) {
		t.Errorf("it says %q", w.note(drain))
	}
	if old := w.value(estatetest.API, name+"_OLD"); !old.Equal(w.estate.Values()[name]) {
		t.Error("the old value is not accepted any more")
	}
	if !slices.Contains(w.told(), "respite/0") || slices.Contains(w.told(), "respite/over") {
		t.Errorf("told %v", w.told())
	}
	w.pass(5 * time.Second)
	waited := len(w.acts("run.waiting"))
	w.work()
	if n := len(w.acts("run.waiting")); n != waited {
		t.Error("looking again and seeing the same is in the log")
	}
	w.pass(24 * time.Second)
	w.used(left)
	if run = w.work(); run.State != ledger.Waiting || !run.WakeAt.Equal(d.Until) {
		t.Fatalf("a second before its end the run is %s until %s", run.State, run.WakeAt)
	}
	w.pass(time.Second)
	w.work()
	w.ends("Ended at a cost: it was still used by "+left+" (2 times", "a minute, as of ", "Nobody chose otherwise")
	if !slices.Contains(w.told(), "respite/over") {
		t.Errorf("told %v", w.told())
	}
}

// Somebody wants it ended: it ends at once, and the log says who.
func TestKill(t *testing.T) {
	t.Parallel()
	w, _ := leftBehind(t, left)
	w.wishes(ledger.WishKill, "slack:U0ALICE (alice)")
	w.work()
	w.ends("Ended at a cost: it was still used by "+left, "alice chose to end it now.")
	if e := w.acts("kill.granted"); len(e) != 1 || e[0].Detail["by"] != "slack:U0ALICE (alice)" {
		t.Errorf("the log says %+v", e)
	}
}

// Its end can be put off by ten minutes from the moment it is asked for, three times.
func TestHold(t *testing.T) {
	t.Parallel()
	w, _ := leftBehind(t, left)
	for n := 1; n <= commands.MaxHolds; n++ {
		w.wishes(ledger.WishHold, "slack:U0ALICE (alice)")
		asked := w.clock()
		w.pass(3 * time.Second) // until somebody meets the wish
		w.used(left)
		w.work()
		d := w.held()
		if d.Times != n || !d.Until.Equal(asked.Add(10*time.Minute)) || w.run().Asked != "" {
			t.Fatalf("put off %d times until %s, want %d times until %s", d.Times, d.Until, n, asked.Add(10*time.Minute))
		}
		if says := w.note(drain); !strings.Contains(says, fmt.Sprintf("alice put its end off (%d of 3)", n)) {
			t.Errorf("it says %q", says)
		}
		if !slices.Contains(w.told(), fmt.Sprintf("respite/%d", n)) {
			t.Errorf("told %v", w.told())
		}
		w.pass(9 * time.Minute)
		w.used(left)
		if w.work(); n < commands.MaxHolds {
			w.held()
		}
	}
	w.wishes(ledger.WishHold, "slack:U0BOB (bob)")
	w.work()
	if e := w.acts("hold.refused"); len(e) != 1 || !strings.Contains(e[0].Detail["because"], "3 times already") {
		t.Errorf("the log says %+v", e)
	}
	d := w.held()
	w.pass(d.Until.Sub(w.clock()))
	w.work()
	w.ends("Ended at a cost: it was still used by "+left, "alice had asked for (3 of 3)")
	if n := len(w.acts("hold.granted")); n != 3 {
		t.Errorf("granted %d times", n)
	}
}

// Once nobody uses it any more there is nothing to wait for.
func TestAStandingRunGoesOnWhenNobodyUsesItAnyMore(t *testing.T) {
	t.Parallel()
	w, _ := leftBehind(t, left)
	w.wishes(ledger.WishHold, "cli:root")
	w.work()
	w.pass(2 * time.Minute) // its use is in the log's quiet span still
	w.work()
	w.held()
	w.pass(4 * time.Minute)
	w.work()
	if d := w.run(); d.State != ledger.Succeeded {
		t.Fatalf("six minutes after the last use the run is %s: %s", d.State, w.note(drain))
	}
	w.ends("Nobody uses the old value any more.")
}

// Whoever stole the value does not decide how long it lives.
func TestAStrangerIsNoReasonToStand(t *testing.T) {
	t.Parallel()
	w, _ := leftBehind(t, stranger)
	w.ends("No caller of ours", stranger)
	if slices.ContainsFunc(w.told(), func(name string) bool { return strings.HasPrefix(name, "respite/") }) {
		t.Errorf("told %v", w.told())
	}
}

// A process that dies between the question and the choice, after the choice, or while it
// carries it out loses nothing, and counts nothing twice.
func TestADeathAroundTheChoice(t *testing.T) {
	t.Parallel()
	w, _ := leftBehind(t, left)
	w.claim() // whoever asked is gone
	w.wishes(ledger.WishHold, "slack:U0ALICE (alice)")
	asked := w.clock()
	ctx, die := context.WithCancel(t.Context())
	w.seek = die // the hold is recorded, the look after it is not
	if err := w.engine().Work(ctx, w.claim()); err == nil {
		t.Fatal("the process did not die")
	}
	w.seek = nil
	w.work()
	if d := w.held(); d.Times != 1 || !d.Until.Equal(asked.Add(10*time.Minute)) || len(w.acts("hold.granted")) != 1 {
		t.Fatalf("put off %d times until %s", d.Times, d.Until)
	}
	w.wishes(ledger.WishKill, "cli:root")
	w.crash(drain + " acted") // it was to end now, and that is not recorded
	w.held()
	w.work()
	w.ends("cli:root chose to end it now.")
	if diff := cmp.Diff([]int{1, 1}, []int{len(w.acts("kill.granted")), len(w.acts("rotate.ended"))}); diff != "" {
		t.Error(diff)
	}
}

// A run that stands can go back.
func TestRollbackWhileItStands(t *testing.T) {
	t.Parallel()
	w, _ := leftBehind(t, left)
	w.wishes(ledger.WishRollback, "cli:root")
	if run := w.work(); run.State != ledger.RolledBack {
		t.Fatalf("the run is %s: %s", run.State, run.Problem)
	}
	if commands.ReadRespite(w.run().Memo).Open {
		t.Error("it still asks")
	}
	w.serves(true)
	w.holds()
}

// What was promised holds for a run that was just about to go on.
func TestAHoldInTheLastMoment(t *testing.T) {
	t.Parallel()
	w, _ := leftBehind(t, left)
	w.pass(30 * time.Second)
	w.used(left)
	w.at(drain+" acted", func() { w.wishes(ledger.WishHold, "slack:U0ALICE (alice)") })
	w.work()
	if d := w.held(); d.Times != 1 || !d.Until.Equal(w.clock().Add(10*time.Minute)) {
		t.Errorf("put off %d times until %s", d.Times, d.Until)
	}
	w.wishes(ledger.WishKill, "slack:U0ALICE (alice)")
	w.work()
	w.ends("alice chose")
}

// Two people choose at the same moment, at two replicas: who wants it ended is heard.
func TestWhoWantsItEndedIsHeard(t *testing.T) {
	t.Parallel()
	w, _ := leftBehind(t, left)
	w.wishes(ledger.WishKill, "slack:U0ALICE (alice)")
	w.wishes(ledger.WishHold, "slack:U0BOB (bob)")
	w.work()
	w.ends("alice chose to end it now.")
}

// A choice about a run that has nothing to choose is refused, and the run goes on.
func TestAChoiceThatComesTooLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(nil)
	w.at("retire/set/api acted", func() { w.wishes(ledger.WishHold, "cli:root") })
	if run := w.work(); run.State != ledger.Succeeded || run.Asked != "" {
		t.Fatalf("the run is %s, asked %q", run.State, run.Asked)
	}
	if e := w.acts("hold.refused"); len(e) != 1 || e[0].Detail["because"] == "" {
		t.Errorf("the log says %+v", e)
	}
	w.serves(false)
}
