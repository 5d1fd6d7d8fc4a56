package rehearsal_test

import (
	"slices"
	"sync"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/estatetest"
	"rekey/commands/journal"
	"rekey/commands/secret"
)

// What a service does with a value, in the words of rekey.yaml.
const (
	onlyAccepts = "accepts"
	onlySigns   = "signs"
	signsToo    = "both"
	onlyUses    = "uses"
)

func accepts(role string) bool { return role == onlyAccepts || role == signsToo }
func signs(role string) bool   { return role == onlySigns || role == signsToo }

// holding is one secret of a house: api and web hold it in one kind of store.
type holding struct {
	variable string
	store    kindOfStore
	live     secret.Value   // what the services hold when no run is under way
	seen     []secret.Value // every value it ever had, the oldest first

	run     string         // the newest one's id
	moment  journal.Moment // when the steps of its runs are killed
	awaited string         // the step in which a rekey is to stand still

	// scheme is how the services sign; "" where they hold nothing against each other.
	scheme string
	roles  [2]string // api's and web's
	// works reports whether whoever makes values valid takes one, and valid how many of
	// this secret's there are; nil where scheme is set.
	works func(v secret.Value) bool
	valid func() int
	// lines are added to the secret's place in rekey.yaml.
	lines []string
	// core answers what is secret in a value; nil for the whole of it.
	core func(value string) string
	// person does what a person has to at a step; nil where nobody has to do anything.
	person func(h *house, run, step string)
}

// learns reads what is in the stores now.
func (h *house) learns(g *holding) {
	h.t.Helper()
	h.canary.collect()
	for _, service := range both {
		now, _ := g.store.get(h, service, g.variable)
		if !now.IsZero() && !slices.ContainsFunc(g.seen, now.Equal) {
			h.learn(g, now)
		}
	}
}

// startTraffic lets the services sign for each other without a pause. Whoever is refused
// fails the test, when the answered function ends the traffic.
func (h *house) startTraffic() (stop func()) {
	if h.holdings[0].scheme == "" {
		return func() {} // mustServeAt looks, where nobody can be refused by another service
	}
	done := make(chan struct{})
	sent := 0
	var refused []error
	var wg sync.WaitGroup
	wg.Go(func() {
		for ; ; sent++ {
			select {
			case <-done:
				return
			case <-time.After(25 * time.Millisecond):
			}
			if err := h.sign(h.holdings[sent%len(h.holdings)]); err != nil {
				refused = append(refused, err)
			}
		}
	})
	return func() {
		h.t.Helper()
		close(done)
		wg.Wait()
		if len(refused) > 0 {
			h.t.Errorf("%d of %d honest requests were refused: %v", len(refused), sent, refused[0])
		}
		if sent < 60 {
			h.t.Errorf("only %d honest requests were made: nothing is proven", sent)
		}
	}
}

// sign lets a worker of each service that signs do it, and one of api judge it.
func (h *house) sign(g *holding) error {
	ctx, cancel := h.ctx()
	defer cancel()
	for i, service := range both {
		if signs(g.roles[i]) {
			if err := h.Estate.Sign(ctx, service, g.scheme, g.variable); err != nil {
				return err
			}
		}
	}
	return nil
}

// mustServeAt checks at a death that the services serve with values that work.
func (h *house) mustServeAt(g *holding, point string) {
	h.t.Helper()
	if g.scheme != "" {
		for range h.Estate.Workers(estatetest.API) { // the traffic goes on all the time
			if err := h.sign(g); err != nil {
				h.t.Errorf("%s, %s: an honest request is refused: %v", g.variable, point, err)
			}
		}
		return
	}
	ctx, cancel := h.ctx()
	defer cancel()
	works := map[int]bool{}
	for _, service := range both {
		for range 2 * h.Estate.Workers(service) {
			proof, err := h.Estate.Ask(ctx, service, g.variable)
			if err != nil {
				h.t.Fatalf("%s, %s: %v", g.variable, point, err)
			}
			on := slices.IndexFunc(g.seen, proof.Of)
			if on < 0 {
				h.t.Errorf("%s, %s: %s runs on a value that nobody knows", g.variable, point, proof.Worker)
				continue
			}
			if _, asked := works[on]; !asked {
				works[on] = g.works(g.seen[on])
			}
			if !works[on] {
				h.t.Errorf("%s, %s: %s runs on value %d, which does not work", g.variable, point, proof.Worker, on+1)
			}
		}
	}
	if n := g.valid(); n < 1 || n > 2 {
		h.t.Errorf("%s, %s: %d values work", g.variable, point, n)
	}
}

// mustHaveEnded checks the end of a run in the security log and in Slack.
func (h *house) mustHaveEnded(g *holding, want ledger.RunState) ledger.Run {
	h.t.Helper()
	run := h.run(g)
	mustEnd(h.t, run, want)
	h.mustHaveDoneEachStepOnce(h.watch, g.variable, g.run)
	h.mustBeToldOnce(run)
	return run
}

// mustHold checks that every worker of both services holds the live value, and nothing
// else is kept.
func (h *house) mustHold(g *holding, point string) {
	h.t.Helper()
	ctx, cancel := h.ctx()
	defer cancel()
	for _, service := range both {
		now, previous := g.store.get(h, service, g.variable)
		if !now.Equal(g.live) || !previous.IsZero() {
			h.t.Errorf("%s, %s: the store of %s does not hold the one value it should (a previous one: %v)", g.variable, point, service, !previous.IsZero())
		}
		// A worker that was told to reload does so in a moment.
		workers := map[string]bool{}
		h.within(g.variable+", "+point+": every worker of "+service+" holds the value", func() bool {
			for range h.Estate.Workers(service) {
				if proof, err := h.Estate.Ask(ctx, service, g.variable); err == nil && proof.Of(g.live) {
					workers[proof.Worker] = true
				}
			}
			return len(workers) == h.Estate.Workers(service)
		})
	}
	if g.works != nil && !g.works(g.live) {
		h.t.Errorf("%s, %s: the live value does not work", g.variable, point)
	}
	if g.valid != nil && g.valid() != 1 {
		h.t.Errorf("%s, %s: %d values work", g.variable, point, g.valid())
	}
}

// mustHaveChanged checks the end of a rotation: one new value, the old one dead, and
// nothing left behind.
func (h *house) mustHaveChanged(g *holding) {
	h.t.Helper()
	old := g.live
	g.live, _ = g.store.get(h, estatetest.API, g.variable)
	if g.live.Equal(old) {
		h.t.Errorf("%s: the value did not change", g.variable)
	}
	h.mustHold(g, "after the rotation")
	h.mustBeDead(g, old)
}

// mustHaveStayed checks the end of a way back: the old value alone, the new one dead.
func (h *house) mustHaveStayed(g *holding, fresh secret.Value) {
	h.t.Helper()
	if fresh.Equal(g.live) {
		h.t.Fatalf("%s: nobody saw the new value", g.variable)
	}
	h.mustHold(g, "after the way back")
	h.mustBeDead(g, fresh)
}

// mustBeDead checks that nobody takes a value and no store keeps it.
func (h *house) mustBeDead(g *holding, v secret.Value) {
	h.t.Helper()
	ctx, cancel := h.ctx()
	defer cancel()
	if g.scheme == "" && g.works(v) {
		h.t.Errorf("%s: a value works that must not", g.variable)
	}
	if g.scheme != "" {
		for range 3 * h.Estate.Workers(estatetest.API) {
			if err := h.Estate.Show(ctx, g.scheme, g.variable, v); err == nil {
				h.t.Errorf("%s: api accepts a value that it must not", g.variable)
				break
			}
		}
	}
	if left := g.store.left(h, v); left != "" {
		h.t.Errorf("%s: %s", g.variable, left)
	}
}
