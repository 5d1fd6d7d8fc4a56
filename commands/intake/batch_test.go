package intake_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/rotate"
	"rekey/commands/secret"
)

func group(id, name string, mode commands.Mode) commands.Request {
	req := ask(id, alice, commands.Rotate, name)
	req.Mode = mode
	return req
}

// members are the runs of a batch in the order of their turns.
func (w *world) members(batch string) []ledger.Run {
	w.t.Helper()
	all := view(w, func(ctx context.Context, tx ledger.Tx) ([]ledger.Run, error) {
		return tx.Runs(ctx, ledger.RunFilter{Batch: batch})
	})
	slices.SortFunc(all, func(a, b ledger.Run) int { return a.Turn - b.Turn })
	return all
}

func TestABatchIsOneRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	req := group("e1", "ALL", commands.Compromised)
	a := w.take(req)
	if a.Outcome != commands.Taken || !strings.HasPrefix(a.Run, "b-") {
		t.Fatalf("answered %s: %s", a.Outcome, a.Text)
	}
	for _, want := range []string{"2 secrets", "REVALIDATE_SECRET and ANALYTICS_SECRET", "paged once", "EMAIL_HOST_PASSWORD is rotated by people. How: Make a new one in the mail console. Its owner is Ops."} {
		if !strings.Contains(a.Text, want) {
			t.Errorf("the answer does not say %q: %s", want, a.Text)
		}
	}
	whole := w.run(a.Run)
	if whole.Kind != ledger.KindBatch || whole.Secret != "all" || whole.Environment != "production" || !whole.Paged || whole.ReplyTo != alice.Channel {
		t.Errorf("the batch is %+v", whole)
	}
	var got []string
	for _, m := range w.members(a.Run) {
		got = append(got, m.Secret)
		if m.Incident != a.Run || m.ReplyTo != "" || m.State != ledger.Queued || m.Mode != "compromised" {
			t.Errorf("the member is %+v", m)
		}
		if told := w.deliveries(m.ID); len(told) != 0 {
			t.Errorf("%s tells by itself: %v", m.Secret, told)
		}
	}
	if d := cmp.Diff([]string{"REVALIDATE_SECRET", "ANALYTICS_SECRET"}, got); d != "" {
		t.Errorf("the riskiest comes first (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"board", "page-trigger"}, w.deliveries(a.Run)); d != "" {
		t.Errorf("what is told (-want +got):\n%s", d)
	}
	if !slices.Contains(w.jobs(), "run "+a.Run) || slices.ContainsFunc(w.jobs(), func(j string) bool { return strings.HasPrefix(j, "run r-") }) {
		t.Errorf("only the batch is woken, it wakes its members: %v", w.jobs())
	}
	before := w.counts()
	if again := w.take(req); again.Run != a.Run || again.Text != a.Text || w.counts() != before {
		t.Errorf("the same request again: %+v, %s, before %s", again, w.counts(), before)
	}
	// Another person types the same a moment later.
	if second := w.take(group("e2", "all", commands.Compromised)); second.Outcome != commands.Unusable || !strings.Contains(second.Text, "REVALIDATE_SECRET is being rotated already") {
		t.Errorf("a second batch: %s: %s", second.Outcome, second.Text)
	}
}

// A routine rotation under way goes on as a compromised one, and the rest is a batch.
func TestABatchTakesRunsUnderWayAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	waiting := w.waiting("e1")
	a := w.take(group("e2", "all", commands.Compromised))
	if a.Outcome != commands.Taken || !strings.Contains(a.Text, "run "+waiting.ID+" goes on as a compromised one") {
		t.Fatalf("answered %s: %s", a.Outcome, a.Text)
	}
	if got := w.run(waiting.ID); got.Asked != ledger.WishCompromised || got.Batch != "" {
		t.Errorf("the run under way is %+v", got)
	}
	if m := w.members(a.Run); len(m) != 1 || m[0].Secret != "ANALYTICS_SECRET" {
		t.Errorf("the members are %+v", m)
	}
	memo, err := commands.ReadBatch(w.run(a.Run).Memo)
	if err != nil || len(memo.Others) != 2 {
		t.Errorf("the memo names %+v (%v), want the run under way and the one for people", memo, err)
	}
}

func TestARoutineBatchStartsWithWhatCostsLeast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cat.Groups = []secret.Group{{Name: "web", Secrets: []string{"REVALIDATE_SECRET", "ANALYTICS_SECRET"}}}
	a := w.take(group("e1", "all", commands.Routine))
	if m := w.members(a.Run); len(m) != 2 || m[0].Secret != "ANALYTICS_SECRET" || w.run(a.Run).Paged {
		t.Errorf("the members are %+v", m)
	}
	for mode, first := range map[commands.Mode]string{commands.Routine: "ANALYTICS_SECRET", commands.Compromised: "REVALIDATE_SECRET"} {
		other := newWorld(t)
		other.cat.Groups = w.cat.Groups
		a = other.take(group("e1", "Web", mode))
		if m := other.members(a.Run); len(m) != 2 || m[0].Secret != first {
			t.Errorf("%s: a named group goes by risk as well, got %+v", mode, m)
		}
	}
}

func TestABatchAsksOnceForAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cat.Secrets[0].Confirm, w.cat.Secrets[0].Impact = true, "The cache is cold for a minute"
	w.cat.Secrets[1].Confirm, w.cat.Secrets[1].Impact = true, "Views are not counted"
	req := group("e1", "all", commands.Compromised)
	before := w.counts()
	a := w.take(req)
	if a.Outcome != commands.Asking || a.Confirm == nil || !strings.Contains(a.Confirm.Cost, "cold for a minute") || !strings.Contains(a.Confirm.Cost, "not counted") {
		t.Fatalf("answered %+v", a)
	}
	if w.counts() != before {
		t.Errorf("asking left %s, before %s", w.counts(), before)
	}
	yes := a.Confirm.Request
	yes.ID, yes.Actor, yes.At = "e2", alice, noon
	if a := w.take(yes); a.Outcome != commands.Taken || len(w.members(a.Run)) != 2 {
		t.Errorf("the second click was answered %s: %s", a.Outcome, a.Text)
	}
}

func TestBatchesThatCannotStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		req     commands.Request
		outcome commands.Outcome
		says    string
	}{
		"a reader": {func() commands.Request {
			r := group("e1", "all", commands.Compromised)
			r.Actor = bob
			return r
		}(), commands.Denied, "not rotate"},
		"staging first": {group("e1", "all", commands.Routine), commands.Unusable, "REVALIDATE_SECRET must be rotated in staging first. Type: /rotate all routine in staging"},
		"for people":    {group("e1", "people", commands.Compromised), commands.Unusable, "rotated by people"},
		"nowhere": {func() commands.Request {
			r := group("e1", "people", commands.Compromised)
			r.Environment = "staging"
			return r
		}(), commands.Unusable, "No secret of people exists in staging"},
		"no such environment": {func() commands.Request {
			r := group("e1", "all", commands.Compromised)
			r.Environment = "stagin"
			return r
		}(), commands.Unusable, "Did you mean staging?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.cat.Environments[0].After, w.cat.Environments[0].AfterWithin = "staging", 14*24*time.Hour
			w.cat.Groups = []secret.Group{{Name: "people", Secrets: []string{"EMAIL_HOST_PASSWORD"}}}
			a := w.take(c.req)
			if a.Outcome != c.outcome || !strings.Contains(a.Text, c.says) {
				t.Errorf("answered %s: %s", a.Outcome, a.Text)
			}
			if n := len(view(w, func(ctx context.Context, tx ledger.Tx) ([]ledger.Run, error) { return tx.Runs(ctx, ledger.RunFilter{}) })); n != 0 {
				t.Errorf("%d runs were started", n)
			}
		})
	}
}

// The incident of a batch that one secret left open is joined by that secret's next run,
// and by no other.
func TestTheLastSecretClosesTheIncidentOfItsBatch(t *testing.T) {
	t.Parallel()
	for _, other := range []ledger.RunState{ledger.Succeeded, ledger.Failed} {
		w := newWorld(t)
		batch := w.take(group("e1", "all", commands.Compromised)).Run
		m := w.members(batch)
		w.did(m[0].ID, ledger.Failed)
		w.did(m[1].ID, other)
		again := w.start("e2", commands.Compromised)
		if joined := again.Incident == batch; joined != (other == ledger.Succeeded) {
			t.Errorf("the other member ended %s: the new run belongs to incident %s", other, again.Incident)
		}
	}
}

func TestABatchGoesBackMemberByMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch := w.take(group("e1", "all", commands.Compromised)).Run
	m := w.members(batch)
	w.did(m[0].ID, ledger.Succeeded, ledger.Step{Key: "finish", Kind: rotate.KindFinish, State: ledger.StepDone})
	a := w.take(back("e2", batch))
	if a.Outcome != commands.Taken || !strings.Contains(a.Text, "ANALYTICS_SECRET in production goes back") || !strings.Contains(a.Text, "REVALIDATE_SECRET cannot: ") {
		t.Fatalf("answered %s: %s", a.Outcome, a.Text)
	}
	if w.run(m[1].ID).Asked != ledger.WishRollback || w.run(m[0].ID).Asked != "" {
		t.Error("the wish is not where it belongs")
	}
	w.did(m[1].ID, ledger.RolledBack)
	w.did(batch, ledger.RolledBack)
	if a := w.take(back("e3", batch)); a.Outcome != commands.Unusable {
		t.Errorf("once more: %s: %s", a.Outcome, a.Text)
	}
}
