package rehearsal_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
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
//
// Guide: overview/no-downtime, practices/test-in-staging
func TestEveryProcedureSurvivesBeingKilledInEveryStep(t *testing.T) {
	t.Parallel()
	for turn, p := range procedures {
		t.Run(string(p.kind), func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, databaseURL string) {
				h := newHouse(t, databaseURL, p)
				for m, moment := range moments {
					for i, st := range stores {
						if everyPair() || i == h.turn(turn+m) {
							h.rotateUnderFire(h.held[st.name], moment)
						}
					}
				}
				h.close()
			})
		})
	}
}

// The way back, asked for during the overlap, is killed in each of its steps as well.
func TestTheWayBackSurvivesBeingKilledInEveryStep(t *testing.T) {
	t.Parallel()
	for turn, p := range procedures {
		if !p.andBack && !everyPair() {
			continue
		}
		t.Run(string(p.kind), func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, databaseURL string) {
				h := newHouse(t, databaseURL, p)
				for m, moment := range moments {
					for i, st := range stores {
						if everyPair() || i == h.turn(turn+m) {
							h.returnUnderFire(h.held[st.name], moment)
						}
					}
				}
				h.close()
			})
		})
	}
}

// house is a world in which one procedure rotates one secret in each store.
type house struct {
	*stage
	databaseURL string
	watch       *app.App
	procedure   procedure
	places      *places
	held        map[string]*holding // by store
	canary      *canary
	said        *logs // by every rekey
	expire      func()
}

func newHouse(t *testing.T, databaseURL string, p procedure) *house {
	t.Helper()
	s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
	h := &house{
		stage: s, databaseURL: databaseURL, procedure: p, places: openPlaces(t), held: map[string]*holding{}, said: &logs{},
		canary: &canary{t: t, known: map[string]string{}, needles: map[string]needle{}},
		expire: func() {}, // on SQLite nobody else can be alive
	}
	h.canary.addTokens(s)
	for _, st := range stores {
		name := p.variable + "_" + strings.ToUpper(st.name)
		g := p.furnish(t, s, name)
		g.variable, g.store = name, st
		h.held[st.name] = g
		h.knows(g, g.live.Reveal(), "the first value of "+name)
	}
	h.furnish()
	h.watch = s.watcher()
	if databaseURL != "" {
		conn := s.connect()
		// The lease of a dead rekey lasts 3 s. TestKilledAtAnyMomentTheRunStillEndsWell waits
		// for it; here the time is let pass at once.
		h.expire = func() {
			if _, err := conn.Exec(t.Context(), "UPDATE rekey_replicas SET lease_until = 0 WHERE gone_at = 0"); err != nil {
				t.Fatal(err)
			}
		}
	}
	return h
}

// turn is the store of the nth of the runs of a procedure; the databases differ.
func (h *house) turn(n int) int {
	if h.databaseURL != "" {
		n++
	}
	return n % len(stores)
}

// knows tells the canary of a value, and of what is secret in it.
func (h *house) knows(g *holding, value, what string) {
	except := ""
	if h.procedure.shownToSentry {
		except = sentryTraffic
	}
	h.canary.add(what, value, except)
	if g.core != nil {
		h.canary.add("what is secret in "+what, g.core(value), except)
	}
}

// rotateUnderFire rotates a compromised value with a death in each step.
func (h *house) rotateUnderFire(g *holding, m journal.Moment) {
	h.t.Helper()
	began, old, nth := time.Now(), g.live, len(h.runs(h.watch))+1
	p := h.start(g, "check "+string(m))
	h.asks("/rotate " + g.variable + " compromised killed in every step")
	h.awaits(g, p, "check "+string(m))
	run, steps, err := h.watch.Look(h.t.Context(), h.runs(h.watch)[0].ID)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := range steps {
		h.dies(g, p, steps[i].Key+" "+string(m))
		if i+1 == len(steps) {
			break
		}
		p = h.start(g, steps[i+1].Key+" "+string(m))
		h.awaits(g, p, steps[i+1].Key+" "+string(m))
	}
	h.finish(g, h.start(g, ""))
	if n := len(h.runs(h.watch)); n != nth {
		h.t.Errorf("%d runs, want %d", n, nth)
	}
	h.mustEndOnce(run.ID, ledger.Succeeded, len(steps))
	h.mustHaveChanged(g, old)
	if i, ok := h.PagerDuty.Incident("rekey-" + run.Incident); !ok || i.Status != bottest.Resolved {
		h.t.Errorf("the page is %q", i.Status)
	}
	h.t.Logf("%s killed %d times, each time when the step was %s: %v", g.variable, len(steps), m, time.Since(began).Round(10*time.Millisecond))
}

// returnUnderFire goes back in the overlap of a routine rotation, with a death in each
// step of the way back.
func (h *house) returnUnderFire(g *holding, m journal.Moment) {
	h.t.Helper()
	began := time.Now()
	p := h.start(g, "")
	h.asks("/rotate " + g.variable + " routine to go back")
	var run ledger.Run
	h.within("the overlap begins", func() bool {
		h.helps(g)
		runs := h.runs(h.watch)
		if len(runs) > 0 {
			run = runs[0]
		}
		return len(runs) > 0 && run.Secret == g.variable && run.State == ledger.Waiting && h.at(run.ID) == "overlap"
	})
	h.dies(g, p, "overlap")
	h.learns(g)

	// Nobody knows the way back before it is planned: it is planned by the first rekey that
	// sees the wish, so the first death is in the first step that comes.
	first := h.procedure.firstBack + " " + string(m)
	p = h.start(g, first)
	h.asks("/rotate rollback " + run.ID + " the site is slow since")
	h.awaits(g, p, first)
	_, steps, err := h.watch.Look(h.t.Context(), run.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	var back []ledger.Step
	for _, st := range steps {
		if st.State == ledger.StepPending || st.Key == h.procedure.firstBack {
			back = append(back, st)
		}
	}
	for i := range back {
		h.dies(g, p, back[i].Key+" "+string(m))
		if i+1 == len(back) {
			break
		}
		p = h.start(g, back[i+1].Key+" "+string(m))
		h.awaits(g, p, back[i+1].Key+" "+string(m))
	}
	h.finish(g, h.start(g, ""))
	if run, _, err = h.watch.Look(h.t.Context(), run.ID); err != nil || run.State != ledger.RolledBack {
		h.t.Fatalf("the run ended %s: %s (%v)", run.State, run.Problem, err)
	}
	h.mustHaveStayed(g)
	h.t.Logf("%s killed %d times on its way back, each time when the step was %s: %v", g.variable, len(back), m, time.Since(began).Round(10*time.Millisecond))
}

// start puts a rekey on duty that stands still at a point.
func (h *house) start(g *holding, point string) *process {
	h.t.Helper()
	h.expire()
	p := h.spawn(point)
	if strings.HasPrefix(point, "check ") || strings.HasPrefix(point, h.procedure.firstBack+" ") || g == nil {
		h.Slack.ExpectConnected(h.t, 1)
	}
	return p
}

// awaits waits until a rekey stands still, and does meanwhile what a person has to.
func (h *house) awaits(g *holding, p *process, point string) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		select {
		case <-p.held:
			return
		case <-p.gone:
			h.t.Fatalf("%s: rekey has ended before it", point)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%s: never reached", point)
		}
		if !strings.HasPrefix(point, "create "+string(journal.Intended)) {
			h.helps(g)
		}
	}
}

// dies kills a rekey, and looks whether the services serve all the same.
func (h *house) dies(g *holding, p *process, point string) {
	h.t.Helper()
	p.kill()
	_, _ = h.said.Write([]byte(p.err.String()))
	h.learns(g)
	h.mustServeAt(g, point)
}

// finish lets a rekey carry the run to its end, and ends it in order.
func (h *house) finish(g *holding, p *process) {
	h.t.Helper()
	h.within("the run ends", func() bool {
		h.helps(g)
		return h.runs(h.watch)[0].State.Final()
	})
	h.ends(h.watch)
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an orderly end, every time
	<-p.gone
	_, _ = h.said.Write([]byte(p.err.String()))
	h.learns(g)
}

// helps does what the procedure asks of a person at the step at hand.
func (h *house) helps(g *holding) {
	h.t.Helper()
	if g.person == nil {
		return
	}
	runs := h.runs(h.watch)
	if len(runs) == 0 || runs[0].Secret != g.variable {
		return
	}
	if key := h.at(runs[0].ID); key != "" {
		g.person(h, runs[0].ID, key)
	}
}

// at is the key of the step that a run has begun and not ended.
func (h *house) at(run string) string {
	h.t.Helper()
	_, steps, err := h.watch.Look(h.t.Context(), run)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, st := range steps {
		if st.State == ledger.StepRunning {
			return st.Key
		}
	}
	return ""
}

// mustEndOnce holds the security log against the plan: every step has one result.
func (h *house) mustEndOnce(run string, want ledger.RunState, steps int) {
	h.t.Helper()
	r, _, err := h.watch.Look(h.t.Context(), run)
	if err != nil || r.State != want {
		h.t.Fatalf("the run ended %s, want %s: %s (%v)", r.State, want, r.Problem, err)
	}
	done := map[string]int{}
	for _, e := range h.entries(h.watch, run) {
		if e.Action == "step.done" {
			done[e.Detail["step"]]++
		}
	}
	for key, n := range done {
		if n != 1 {
			h.t.Errorf("step %s has %d results", key, n)
		}
	}
	if len(done) != steps {
		h.t.Errorf("%d steps have a result, want %d", len(done), steps)
	}
	if n := h.boards(run); n != 1 {
		h.t.Errorf("#devops-alerts has %d messages about the run, want one", n)
	}
}

// close looks, when all is over, for what must not have been left anywhere.
func (h *house) close() {
	h.t.Helper()
	h.mustVerify(h.watch)
	h.Slack.ExpectNoErrors(h.t)
	h.mustHaveLeftNothing("in the end")
	sinks := h.sinks(h.databaseURL, h.said)
	for _, k := range sinks {
		if found := h.canary.find(k); len(found) > 0 {
			h.t.Errorf("%s: it holds %s", k.name, strings.Join(found, "; "))
		}
	}
	if len(h.said.String()) == 0 {
		h.t.Error("no rekey has logged anything: nothing is proven")
	}
	h.canary.add("a run", h.runs(h.watch)[0].ID, "")
	for _, k := range sinks {
		if k.name != pagerDutyTraffic && k.name != sentryTraffic && len(h.canary.find(k)) == 0 {
			h.t.Errorf("%s: what is there was not found, so that nothing is proven", k.name)
		}
	}
}

// ctx bounds one question.
func (h *house) ctx() (context.Context, context.CancelFunc) {
	return context.WithTimeout(h.t.Context(), patience)
}

func (h *house) String() string { return fmt.Sprint(h.procedure.kind, " on ", h.databaseURL) }
