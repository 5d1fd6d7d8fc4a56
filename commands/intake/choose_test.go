package intake_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
	"rekey/commands/rotate"
)

// stands brings a compromised run to where it asks about the end of the old value.
func (w *world) stands(run string, d commands.Respite) {
	w.t.Helper()
	d.Open, d.Seen = true, "10.0.0.7 (3 times), 6 times a minute"
	memo, err := d.Memo()
	if err != nil {
		w.t.Fatal(err)
	}
	err = w.journal(w.claim(run, "worker")).Commit(context.Background(), journal.Change{
		Entry: ledger.Entry{Actor: "rekey", Action: "run.waiting"},
		Steps: []ledger.Step{
			{Run: run, Index: 0, Key: "retire/drain", Kind: rotate.KindDrain, State: ledger.StepRunning},
			{Run: run, Index: 1, Key: "retire/set/api", Kind: rotate.KindSet, State: ledger.StepPending},
		},
		Amend: func(r *ledger.Run) { r.State, r.WakeAt, r.Memo = ledger.Waiting, w.clock().Add(5*time.Second), memo },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.release(w.run(run))
}

func chooses(id string, who commands.Actor, v commands.Verb, run string) commands.Request {
	return commands.Request{ID: id, At: noon, Actor: who, Verb: v, Run: run, Reason: "the nightly job"}
}

// What is answered when, and what is recorded.
func TestChoose(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		verb    commands.Verb
		prepare func(w *world) string
		outcome commands.Outcome
		says    string
	}{
		"kill": {commands.Kill, func(w *world) string { return w.standing(commands.Respite{}) }, commands.Taken, "ends now"},
		"hold": {commands.Hold, func(w *world) string { return w.standing(commands.Respite{}) }, commands.Taken, "lives until 12:10:00 UTC (1 of 3,"},
		"a third time": {commands.Hold, func(w *world) string {
			return w.standing(commands.Respite{Times: 2})
		}, commands.Taken, "(3 of 3,"},
		"a fourth time": {commands.Hold, func(w *world) string {
			return w.standing(commands.Respite{Times: 3})
		}, commands.Unusable, "3 times already"},
		"a stale click, put off meanwhile": {commands.Hold, func(w *world) string {
			return w.standing(commands.Respite{Times: 1, By: "slack:U0BOB (bob)", Until: noon.Add(9*time.Minute + 50*time.Second)})
		}, commands.Unusable, "bob has just put its end off until 12:09:50 UTC"},
		"a routine one":                {commands.Kill, func(w *world) string { return w.start("e1", commands.Routine).ID }, commands.Unusable, "/rotate REVALIDATE_SECRET compromised"},
		"one that has not come so far": {commands.Hold, func(w *world) string { return w.start("e1", commands.Compromised).ID }, commands.Unusable, "has not come to the end"},
		"one that has ended": {commands.Kill, func(w *world) string {
			id := w.standing(commands.Respite{})
			w.end(id, ledger.Succeeded)
			return id
		}, commands.Unusable, "has ended, and the old value with it"},
		"too late": {commands.Hold, func(w *world) string {
			id := w.standing(commands.Respite{})
			w.did(id, ledger.Running, ledger.Step{Key: "retire/drain", Kind: rotate.KindDrain, State: ledger.StepDone}, ledger.Step{Key: "retire/set/api", Kind: rotate.KindSet, State: ledger.StepRunning})
			return id
		}, commands.Unusable, "too late"},
		"no run": {commands.Kill, func(*world) string { return "r-none" }, commands.Unusable, "no run of that number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := c.prepare(w)
			woken := count(w.jobs(), "run "+id)
			a := w.take(chooses("e2", alice, c.verb, id))
			if a.Outcome != c.outcome || !strings.Contains(a.Text, c.says) {
				t.Fatalf("answered %s: %s", a.Outcome, a.Text)
			}
			if id == "r-none" {
				return
			}
			wish, n := ledger.Wish(""), 0
			if c.outcome == commands.Taken {
				wish, n = ledger.Wish(c.verb), 1
			}
			if run := w.run(id); run.Asked != wish || count(w.jobs(), "run "+id)-woken != n {
				t.Errorf("asked %q, woken %d times", run.Asked, count(w.jobs(), "run "+id)-woken)
			}
			e := w.entries()
			if last := e[len(e)-1]; last.Action != string(c.verb)+".requested" || last.Why != "the nightly job" || last.Run != id ||
				last.Actor != alice.String() || (last.Result == "accepted") != (c.outcome == commands.Taken) {
				t.Errorf("the log says %+v", last)
			}
			// Slack delivers it twice.
			before := w.counts()
			if b := w.take(chooses("e2", alice, c.verb, id)); b.Text != a.Text || w.counts() != before {
				t.Errorf("the second time: %s; %s", b.Text, w.counts())
			}
		})
	}
}

// standing starts a compromised run and brings it to where it asks; it ends in half a
// minute unless d says otherwise.
func (w *world) standing(d commands.Respite) string {
	w.t.Helper()
	id := w.start("e1", commands.Compromised).ID
	if d.Until.IsZero() {
		d.Until = noon.Add(30 * time.Second)
	}
	w.stands(id, d)
	return id
}

// Kill replaces hold, and nothing replaces kill.
func TestAChoiceBesideAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.standing(commands.Respite{})
	for n, c := range []struct {
		verb    commands.Verb
		outcome commands.Outcome
		says    string
		asked   ledger.Wish
	}{
		{commands.Hold, commands.Taken, "lives until", ledger.WishHold},
		{commands.Hold, commands.Unusable, "somebody has just put its end off", ledger.WishHold},
		{commands.Kill, commands.Taken, "ends now", ledger.WishKill},
		{commands.Hold, commands.Unusable, "chosen to end it now", ledger.WishKill},
		{commands.Kill, commands.Unusable, "chosen to end it now", ledger.WishKill},
	} {
		a := w.take(chooses(fmt.Sprint("c", n), alice, c.verb, id))
		if a.Outcome != c.outcome || !strings.Contains(a.Text, c.says) || w.run(id).Asked != c.asked {
			t.Errorf("%d, %s: answered %s: %s; asked %q", n, c.verb, a.Outcome, a.Text, w.run(id).Asked)
		}
	}
}

// Many people click at the same moment: one hold is taken.
func TestManyClicksAreOneHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.standing(commands.Respite{})
	answers := make([]commands.Answer, 8)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			var err error
			if answers[i], err = w.desk.Take(t.Context(), chooses(fmt.Sprint("c", i), alice, commands.Hold, id)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	taken := 0
	for _, a := range answers {
		if a.Outcome == commands.Taken {
			taken++
		} else if !strings.Contains(a.Text, "has just put its end off") {
			t.Errorf("answered %s: %s", a.Outcome, a.Text)
		}
	}
	if taken != 1 {
		t.Errorf("%d holds were taken, want one", taken)
	}
}

func TestOnlyRespondersChoose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.standing(commands.Respite{})
	for n, who := range []commands.Actor{bob, mallory} {
		for _, v := range []commands.Verb{commands.Kill, commands.Hold} {
			if a := w.take(chooses(fmt.Sprint(v, n), who, v, id)); a.Outcome != commands.Denied || w.run(id).Asked != "" {
				t.Errorf("%s was answered %s: %s", who.Name, a.Outcome, a.Text)
			}
		}
	}
}

// Of a batch, every member that stands is meant and no other.
func TestChooseForABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.take(ask("e1", alice, commands.Rotate, "all"))
	if a.Outcome != commands.Taken {
		t.Fatalf("answered %s: %s", a.Outcome, a.Text)
	}
	if none := w.take(chooses("e2", alice, commands.Kill, a.Run)); none.Outcome != commands.Unusable || !strings.Contains(none.Text, "no rotation of "+a.Run+" stands") {
		t.Errorf("answered %s: %s", none.Outcome, none.Text)
	}
	members := view(w, func(ctx context.Context, tx ledger.Tx) ([]ledger.Run, error) {
		return tx.Runs(ctx, ledger.RunFilter{Batch: a.Run})
	})
	i := slices.IndexFunc(members, func(r ledger.Run) bool { return r.Secret == "ANALYTICS_SECRET" })
	w.stands(members[i].ID, commands.Respite{Until: noon.Add(30 * time.Second)})
	b := w.take(chooses("e3", alice, commands.Hold, a.Run))
	if b.Outcome != commands.Taken || !strings.Contains(b.Text, "ANALYTICS_SECRET in production lives until") || strings.Contains(b.Text, "REVALIDATE_SECRET") {
		t.Errorf("answered %s: %s", b.Outcome, b.Text)
	}
	for _, m := range members {
		want := ledger.Wish("")
		if m.ID == members[i].ID {
			want = ledger.WishHold
		}
		if got := w.run(m.ID).Asked; got != want {
			t.Errorf("%s was asked %q, want %q", m.Secret, got, want)
		}
	}
}
