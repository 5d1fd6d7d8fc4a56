package rehearsal_test

import (
	"os"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/commands/journal"
)

// moments are when a step is killed.
var moments = []journal.Moment{journal.Intended, journal.Acted, journal.Settled}

// everyPair reports that each procedure is to be killed at each moment over each store,
// and not over one store for each moment. That takes three times as long: "make kill".
func everyPair() bool { return os.Getenv("REKEY_KILL") == "all" }

// Every procedure, over every store, on both databases: a rekey is killed at a moment of
// each step of the plan, another one goes on and is killed in the next step, and so on to
// the end, which is what it is without. At each of these deaths the services serve.
//
// Three runs of a procedure on a database kill each of its steps before the act, after
// it, and after its result was recorded; each of the three has another store, and the
// other database has them in another order. So each step × moment × database is killed,
// and each procedure meets each store on both databases. With REKEY_KILL=all every
// combination of the four is.
func TestEveryProcedureSurvivesBeingKilledInEveryStep(t *testing.T) {
	t.Parallel()
	inEveryHouse(t, (*house).rotateUnderFire)
}

// The way back, asked for during the overlap, survives the same in each of its steps.
func TestTheWayBackSurvivesBeingKilledInEveryStep(t *testing.T) {
	t.Parallel()
	inEveryHouse(t, (*house).returnUnderFire)
}

func inEveryHouse(t *testing.T, underFire func(*house, *holding, journal.Moment)) {
	for turn, p := range procedures {
		t.Run(string(p.kind), func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, databaseURL string) {
				h := newHouse(t, databaseURL, p)
				for m, moment := range moments {
					for i, st := range stores {
						if everyPair() || i == h.turn(turn+m) {
							underFire(h, h.held[st.name], moment)
						}
					}
				}
				h.close()
			})
		})
	}
}

// turn is the store of the nth of the runs of a procedure; the databases differ.
func (h *house) turn(n int) int {
	if h.databaseURL != "" {
		n++
	}
	return n % len(stores)
}

// rotateUnderFire rotates a compromised value with a death in each step.
func (h *house) rotateUnderFire(g *holding, m journal.Moment) {
	h.t.Helper()
	began, old, nth := time.Now(), g.live, len(h.runs(h.watch))+1
	traffic := h.startTraffic(g)
	p := h.start(g, "check", m)
	h.asks("/rotate " + g.variable + " compromised killed in every step")
	h.awaits(g, p, "check", m)
	run := h.runs(h.watch)[0]
	steps := h.steps(run.ID)
	h.fire(g, p, steps, m)
	run = h.finish(g, h.start(g, "", ""))
	traffic()

	if n := len(h.runs(h.watch)); n != nth {
		h.t.Errorf("%d runs, want %d", n, nth)
	}
	mustEnd(h.t, run, ledger.Succeeded)
	h.mustHaveDoneEachStepOnce(h.watch, g.variable, run.ID)
	if n := len(h.steps(run.ID)); n != len(steps) {
		h.t.Errorf("the run has %d steps, and %d were planned", n, len(steps))
	}
	h.mustHaveChanged(g, old)
	h.mustBeToldOnce(run)
	if i, ok := h.PagerDuty.Incident("rekey/" + run.Incident); !ok || i.Status != bottest.Resolved {
		h.t.Errorf("the page is %q", i.Status)
	}
	h.t.Logf("%s killed %d times, each time when the step was %s: %v", g.variable, len(steps), m, time.Since(began).Round(10*time.Millisecond))
}

// returnUnderFire goes back in the overlap of a routine rotation, with a death in the
// overlap and in each step of the way back.
func (h *house) returnUnderFire(g *holding, m journal.Moment) {
	h.t.Helper()
	began := time.Now()
	traffic := h.startTraffic(g)
	p := h.start(g, "", "")
	h.asks("/rotate " + g.variable + " routine to go back")
	var run ledger.Run
	h.within("the overlap begins", func() bool {
		h.helps(g)
		run = h.runs(h.watch)[0]
		return run.Secret == g.variable && run.State == ledger.Waiting && h.next(run.ID).Key == "overlap"
	})
	h.dies(g, p, "overlap")
	fresh := g.seen[len(g.seen)-1]

	// Nobody knows the way back before it is planned: it is planned by the first rekey that
	// sees the wish, so the first death is in the first step that comes.
	first := h.procedure.firstBack(g.store)
	p = h.start(g, first, m)
	h.asks("/rotate rollback " + run.ID + " the site is slow since")
	h.awaits(g, p, first, m)
	var back []ledger.Step
	for _, st := range h.steps(run.ID) {
		if st.State == ledger.StepPending || st.Key == first {
			back = append(back, st)
		}
	}
	h.fire(g, p, back, m)
	run = h.finish(g, h.start(g, "", ""))
	traffic()

	mustEnd(h.t, run, ledger.RolledBack)
	h.mustHaveDoneEachStepOnce(h.watch, g.variable, run.ID)
	h.mustHaveStayed(g, fresh)
	h.mustBeToldOnce(run)
	h.t.Logf("%s killed %d times on its way back, each time when the step was %s: %v", g.variable, len(back), m, time.Since(began).Round(10*time.Millisecond))
}
