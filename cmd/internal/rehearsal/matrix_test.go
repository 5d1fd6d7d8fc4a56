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

// rounds is how often each procedure is played through: once, or with REKEY_KILL=all
// ("make kill") until each of its stores had each moment.
func rounds() int {
	if os.Getenv("REKEY_KILL") == "all" {
		return len(moments)
	}
	return 1
}

// Every procedure, over every store, on both databases: a rekey is killed in a step of
// the plan, another one goes on and is killed in the next step, and so on to the end,
// which is what it is without. At each of these deaths the services serve.
//
// Each rekey carries three runs of a procedure, one over each store, and is killed when
// the step of one of them is intended and not begun, that of another is done and not
// recorded, and that of the third is recorded. The other database has the moments in
// another order. So each step × moment × database is killed, and each procedure meets
// each store on both databases. With REKEY_KILL=all every combination of the four is.
//
// Guide: overview/no-downtime, aws/consumer
func TestEveryProcedureSurvivesBeingKilledInEveryStep(t *testing.T) {
	t.Parallel()
	inEveryHouse(t, (*house).rotateUnderFire)
}

// The way back, asked for during the overlap, survives the same in each of its steps.
//
// Guide: procedures/secret-key/rollback, procedures/revalidate-secret/rollback
// Guide: procedures/email-host-password/rollback, procedures/database-url/rollback
// Guide: procedures/sentry-dsn/rollback, procedures/anything-else/rollback
func TestTheWayBackSurvivesBeingKilledInEveryStep(t *testing.T) {
	t.Parallel()
	inEveryHouse(t, (*house).returnUnderFire)
}

func inEveryHouse(t *testing.T, underFire func(*house)) {
	for turn, p := range procedures {
		t.Run(string(p.kind), func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, databaseURL string) {
				h := newHouse(t, databaseURL, p)
				for round := range rounds() {
					h.deal(turn + round)
					began := time.Now()
					underFire(h)
					h.t.Logf("killed %d times: %v", h.deaths, time.Since(began).Round(10*time.Millisecond))
				}
				h.close()
			})
		})
	}
}

// deal gives each store another moment, and another one on the other database.
func (h *house) deal(turn int) {
	if h.databaseURL != "" {
		turn++
	}
	for i, g := range h.holdings {
		g.moment = moments[(turn+i)%len(moments)]
	}
}

// rotateUnderFire rotates compromised values with a death in each step.
func (h *house) rotateUnderFire() {
	h.t.Helper()
	already := len(h.runs(h.watch))
	traffic := h.startTraffic()
	p := h.start(func(*holding) string { return "check" })
	for _, g := range h.holdings {
		h.begins(g, "/rotate "+g.variable+" compromised killed in every step")
	}
	h.awaits(p)
	planned := make([][]ledger.Step, len(h.holdings))
	for i, g := range h.holdings {
		planned[i] = h.steps(g.run)
	}
	h.fire(p, planned)
	h.finish()
	traffic()

	if n := len(h.runs(h.watch)) - already; n != len(h.holdings) {
		h.t.Errorf("%d runs, want one for each of %d commands", n, len(h.holdings))
	}
	for i, g := range h.holdings {
		run := h.mustHaveEnded(g, ledger.Succeeded)
		if n := len(h.steps(g.run)); n != len(planned[i]) {
			h.t.Errorf("%s: the run has %d steps, and %d were planned", g.variable, n, len(planned[i]))
		}
		h.mustHaveChanged(g)
		if page, ok := h.PagerDuty.Incident("rekey/" + run.Incident); !ok || page.Status != bottest.Resolved {
			h.t.Errorf("%s: the page is %q", g.variable, page.Status)
		}
	}
}

// returnUnderFire goes back in the overlap of routine rotations, with a death in the
// overlap and in each step of the way back.
func (h *house) returnUnderFire() {
	h.t.Helper()
	traffic := h.startTraffic()
	p := h.start(nil)
	for _, g := range h.holdings {
		h.begins(g, "/rotate "+g.variable+" routine to go back")
	}
	for _, g := range h.holdings {
		h.within("the overlap of "+g.variable+" begins", func() bool {
			h.help()
			run := h.run(g)
			if run.State.Final() {
				h.t.Fatalf("%s has ended %s: %s", g.variable, run.State, run.Problem)
			}
			return run.State == ledger.Waiting && h.next(g).Key == "overlap"
		})
	}
	h.dies(p, "in the overlap")
	fresh := map[*holding]int{}
	for _, g := range h.holdings {
		fresh[g] = len(g.seen) - 1
	}

	// Nobody knows the way back before it is planned: it is planned by the first rekey that
	// sees the wish, so the first death is in the first step that comes.
	first := func(g *holding) string { return h.procedure.firstBack(g.store) }
	p = h.start(first)
	for _, g := range h.holdings {
		h.types("/rotate rollback " + g.run + " the site is slow since")
	}
	h.awaits(p)
	back := make([][]ledger.Step, len(h.holdings))
	for i, g := range h.holdings {
		for _, st := range h.steps(g.run) {
			if st.State == ledger.StepPending || st.Key == first(g) {
				back[i] = append(back[i], st)
			}
		}
	}
	h.fire(p, back)
	h.finish()
	traffic()
	for _, g := range h.holdings {
		h.mustHaveEnded(g, ledger.RolledBack)
		h.mustHaveStayed(g, g.seen[fresh[g]])
	}
}
