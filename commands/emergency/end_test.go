package emergency_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/commands/estatetest"
)

// impatient is for checks that must fail; the ones before them have to pass.
const impatient = 3 * time.Second

// A signer that does not switch: everything goes back, on-call is paged, the evidence
// is read all the same.
func TestARunThatGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.within = impatient
	w.faults(estatetest.Web, estatetest.Faults{IgnoreReload: true})
	w.request(nil)
	run := w.work()
	if run.State != ledger.RolledBack || !run.Paged || !run.EndedAt.Equal(w.clock()) {
		t.Fatalf("the run ended %s: %s", run.State, run.Problem)
	}
	if !strings.HasPrefix(run.Problem, "Web is not proven: ") || !strings.HasSuffix(run.Problem, ". rekey goes back to the old value.") {
		t.Errorf("the problem is %q", run.Problem)
	}
	w.serves(true)
	want := []string{
		"check done", "create done", "publish/set/api done", "publish/test/api done", "switch/set/web done", "switch/test/web failed",
		"retire/set/api skipped", "retire/test/api skipped", "prove skipped", "finish skipped", "audit skipped",
		"unswitch/set/web done", "unswitch/test/web done", "rollback/set/api done", "rollback/test/api done", "rollback/finish done", "audit done",
	}
	if diff := cmp.Diff(want, w.states()); diff != "" {
		t.Errorf("the steps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"board", "files", "page-trigger", "report", "step/switch/test/web", "steps"}, w.told()); diff != "" {
		t.Errorf("what is told (-want +got):\n%s", diff)
	}
	entries := w.entries()
	if last := entries[len(entries)-1]; last.Result != "rolled_back" || last.Detail["problem"] != run.Problem {
		t.Errorf("the last entry: %+v", last)
	}
	w.holds()
}

// A routine run pages nobody until something fails.
func TestAFailedRoutineRunPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.within = impatient
	w.faults(estatetest.API, estatetest.Faults{AcceptAnything: true})
	w.request(func(r *ledger.Run) { routine(r); r.ReplyTo = "D0ALICE" })
	before := w.value(estatetest.API, name)
	run := w.work()
	if run.State != ledger.Failed || !run.Paged || !strings.HasSuffix(run.Problem, " Nothing was changed.") {
		t.Fatalf("the run ended %s, paged %v: %s", run.State, run.Paged, run.Problem)
	}
	if diff := cmp.Diff([]string{"board", "page-trigger", "reply", "step/check", "steps"}, w.told()); diff != "" {
		t.Errorf("what is told (-want +got):\n%s", diff)
	}
	if !w.value(estatetest.API, name).Equal(before) {
		t.Error("something was changed")
	}
}

// When the way back fails too, the run says at what a person must look.
func TestAWayBackThatFailsIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.within = impatient
	w.faults(estatetest.Web, estatetest.Faults{IgnoreReload: true})
	w.request(routine)
	w.at("unswitch/set/web intended", func() { // web answers nothing any more
		if err := w.estate.Kill(estatetest.Web); err != nil {
			t.Error(err)
		}
	})
	run := w.work()
	if run.State != ledger.Failed {
		t.Fatalf("the run ended %s: %s", run.State, run.Problem)
	}
	for _, word := range []string{"Web is not proven", "rekey goes back to the old value.", "A person must look at web."} {
		if strings.Count(run.Problem, word) != 1 {
			t.Errorf("the problem does not say once %q: %s", word, run.Problem)
		}
	}
	if w.state("rollback/set/api") != "skipped" || w.state("rollback/finish") != "skipped" {
		t.Errorf("the steps: %v", w.states())
	}
	if old := w.value(estatetest.API, name+"_OLD"); old.IsZero() {
		t.Error("api accepts one value alone although web is not proven to be back")
	}
	if !slices.Contains(w.told(), "page-trigger") {
		t.Errorf("told: %v", w.told())
	}
}

// The catalogue may be edited while a run is under way. A run that lost its footing
// ends, says what to put back, and leaves everything served.
func TestACatalogueThatLostSomething(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		lose func(w *world)
		says []string
	}{
		"the secret":      {func(w *world) { w.cat.Secrets = nil }, []string{"no longer has the secret " + name, "put it back"}},
		"the environment": {func(w *world) { w.cat.Environments = nil }, []string{"no longer has the environment production"}},
		"the place":       {func(w *world) { w.cat.Secrets[0].Places = nil }, []string{"no longer has " + name + " in production"}},
		"the store":       {func(w *world) { w.cat.Environments[0].Consumers[0].Store = "vault" }, []string{`"vault"`}},
		"the signing service": {
			func(w *world) {
				w.cat.Secrets[0].Places[0].Uses = w.cat.Secrets[0].Places[0].Uses[:1]
				w.cat.Environments[0].Consumers = w.cat.Environments[0].Consumers[:1]
			},
			[]string{"no longer says that web uses " + name, "no longer has web", "leaves every service as it is"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.request(nil)
			w.crash("switch/set/web acted")
			c.lose(w)
			run := w.work()
			if run.State != ledger.Failed || !run.Paged || !run.EndedAt.Equal(w.clock()) {
				t.Fatalf("the run ended %s, paged %v: %s", run.State, run.Paged, run.Problem)
			}
			for _, word := range c.says {
				if !strings.Contains(run.Problem, word) {
					t.Errorf("the problem does not say %q: %s", word, run.Problem)
				}
			}
			told := w.told()
			if !slices.Contains(told, "page-trigger") || !slices.Contains(told, "steps") {
				t.Errorf("told: %v", told)
			}
			web, api, old := w.value(estatetest.Web, name), w.value(estatetest.API, name), w.value(estatetest.API, name+"_OLD")
			if !web.Equal(api) && !web.Equal(old) {
				t.Error("web signs with a value that api refuses")
			}
			entries := w.entries()
			if last := entries[len(entries)-1]; last.Action != "rotate.ended" || last.Result != "failed" || last.Detail["problem"] == "" {
				t.Errorf("the last entry: %+v", last)
			}

			// Put back, a second run ends what the first began.
			w.cat = w.catalogue()
			w.again("r-2")
			if run := w.run2("r-2"); run.State != ledger.Succeeded {
				t.Fatalf("the second run ended %s: %s", run.State, run.Problem)
			}
			w.serves(false)
		})
	}
}

// again records and works a second run of the same secret.
func (w *world) again(second string) {
	w.t.Helper()
	r := w.run()
	w.pass(time.Minute)
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		return tx.InsertRun(ctx, ledger.Run{
			ID: second, Kind: ledger.KindRotate, Secret: name, Environment: "production", Mode: r.Mode, Actor: r.Actor,
			Incident: r.Incident, Paged: true, State: ledger.Queued, Since: r.Since, CreatedAt: w.clock(), Version: 1,
		})
	})
	var claimed ledger.Run
	w.update(func(ctx context.Context, tx ledger.Tx) (err error) {
		claimed, err = tx.ClaimRun(ctx, second, "another")
		return err
	})
	if err := w.engine().Work(w.t.Context(), claimed); err != nil {
		w.t.Fatalf("working %s: %v", second, err)
	}
}

func (w *world) run2(second string) (r ledger.Run) {
	w.t.Helper()
	w.view(func(ctx context.Context, tx ledger.Tx) (err error) { r, err = tx.Run(ctx, second); return err })
	return r
}

// A step that was planned by another version of rekey is not guessed at.
func TestAStepOfAnotherVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(nil)
	w.crash("create settled")
	run := w.claim()
	w.update(func(ctx context.Context, tx ledger.Tx) error {
		if err := tx.UpdateRun(ctx, &run); err != nil {
			return err
		}
		return tx.PutStep(ctx, ledger.Step{Run: id, Index: 2, Key: "teleport", Kind: "teleport", Title: "Teleport", State: ledger.StepPending})
	})
	run = w.work()
	if run.State != ledger.Failed || !strings.Contains(run.Problem, "planned by another version") || strings.Contains(run.Problem, "new value") {
		t.Errorf("the run ended %s: %s", run.State, run.Problem)
	}
	if w.state("teleport") != "failed" || w.state("audit") == "no such step" || w.run().Report == nil {
		t.Errorf("the steps: %v", w.states())
	}
	w.serves(true)
}

// A folder in which nothing may be cleaned up ends the run before anything is touched.
func TestAFolderThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(nil)
	if err := os.Remove(w.estate.EnvFile(estatetest.Web)); err != nil {
		t.Fatal(err)
	}
	run := w.work()
	if run.State != ledger.Failed || !strings.Contains(run.Problem, "web") || !strings.Contains(run.Problem, "not found") {
		t.Errorf("the run ended %s: %s", run.State, run.Problem)
	}
	if !slices.Contains(w.told(), "page-trigger") {
		t.Errorf("told: %v", w.told())
	}
}

// A run that is merely lost is not given up.
func TestALostRunIsNotGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.request(nil)
	claimed := w.claim()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.engine().Work(ctx, claimed); err == nil {
		t.Error("a process that was stopped reports success")
	}
	if run := w.run(); run.State != ledger.Queued || len(w.entries()) != 0 {
		t.Errorf("the run is %s with %d entries", run.State, len(w.entries()))
	}
}
