package rehearsal_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/estatetest"
	"rekey/commands/secret"
)

// holding is one secret of a house: api and web hold it in one kind of store.
type holding struct {
	variable string
	store    kindOfStore
	live     secret.Value   // what the services hold, as far as the test knows
	seen     []secret.Value // every value it ever had

	// works reports whether whoever makes values valid takes one, and valid how many of
	// this secret's it takes; nil where the services hold them against each other.
	works func(v secret.Value) bool
	valid func() int
	// scheme is how the services sign, where they do.
	scheme string
	// roles are api's and web's, and proof what there is beside a challenge.
	roles [2]string
	// lines are added to the place of the secret in rekey.yaml.
	lines []string
	// core answers what is secret in a value; nil for the whole of it.
	core func(value string) string
	// person does what a person has to at a step; nil where nobody has to do anything.
	person func(h *house, run, step string)
}

var both = []string{estatetest.API, estatetest.Web}

// furnish puts the secrets where the services and rekey read them.
func (h *house) furnish() {
	h.t.Helper()
	for _, service := range both {
		for _, st := range stores {
			g := h.held[st.name]
			st.put(h, service, g.variable, g.live)
		}
		if err := h.Estate.SetSources(service, h.places.sources(service)...); err != nil {
			h.t.Fatal(err)
		}
		argv := h.Estate.Reload(service)
		if out, err := exec.CommandContext(h.t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
			h.t.Fatalf("reloading %s: %v: %s", service, err, out)
		}
	}
	text, err := os.ReadFile(h.CataloguePath())
	if err != nil {
		h.t.Fatal(err)
	}
	head, logs, ok := strings.Cut(string(text), "    logs:\n")
	if !ok {
		h.t.Fatal("rekey.yaml has no logs")
	}
	var consumers, secrets strings.Builder
	for _, st := range stores {
		consumers.WriteString(st.consumers(h))
		secrets.WriteString(h.yaml(h.held[st.name]))
	}
	whole := head + consumers.String() + "    logs:\n" + logs + secrets.String() + h.places.yaml()
	if err := os.WriteFile(h.CataloguePath(), []byte(whole), 0o600); err != nil {
		h.t.Fatal(err)
	}
	for _, st := range stores {
		h.mustHold(h.held[st.name], "in the beginning")
	}
}

// yaml is a secret in rekey.yaml.
func (h *house) yaml(g *holding) string {
	var b strings.Builder
	line := func(depth int, format string, args ...any) {
		fmt.Fprintf(&b, strings.Repeat("  ", depth)+format+"\n", args...)
	}
	line(1, "%s:", g.variable)
	for _, l := range []string{"purpose: to be rotated under fire", "impact: none", "owner: DevOps", "rotate_every: 90d", "risk: medium", "overlap: 24h"} {
		line(2, "%s", l)
	}
	line(2, "procedure: %s", h.procedure.kind)
	line(2, "generator: %s", h.procedure.generator)
	line(2, "in:\n      production:\n        consumers:")
	for i, service := range both {
		role := g.roles[i]
		line(5, "%s:", g.store.consumer(service))
		line(6, "variable: %s", g.variable)
		line(6, "role: %s", role)
		if role == "accepts" || role == "both" {
			line(6, "previous: %s_OLD", g.variable)
		}
		line(6, "proof:")
		if role != "uses" && role != "signs" {
			line(7, "request: {urls: [%q], method: POST, header: X-Signature, content_type: application/json, body: '{\"n\":1}'}", h.Estate.AcceptURL(g.scheme, g.variable))
		}
		if role != "accepts" {
			line(7, "challenge: {urls: [%q]}", h.Estate.ProofURL(service, g.variable))
		}
	}
	for _, l := range g.lines {
		line(4, "%s", l)
	}
	line(4, "checks: [{kind: health, name: api is well, url: %q}]", h.Estate.URL(estatetest.API)+"/api/healthcheck/")
	return b.String()
}

// learns reads what is in the stores now, and tells the canary.
func (h *house) learns(g *holding) {
	h.t.Helper()
	for _, service := range both {
		now, _ := g.store.get(h, service, g.variable)
		known := false
		for _, v := range g.seen {
			known = known || v.Equal(now)
		}
		if !known && !now.IsZero() {
			g.seen = append(g.seen, now)
			h.knows(g, now.Reveal(), fmt.Sprintf("value %d of %s", len(g.seen), g.variable))
		}
	}
}

// mustServeAt checks at a death that the services serve with values that work.
func (h *house) mustServeAt(g *holding, point string) {
	h.t.Helper()
	ctx, cancel := h.ctx()
	defer cancel()
	if g.scheme != "" {
		for range 2 * h.Estate.Workers(estatetest.API) {
			for i, service := range both {
				if g.roles[i] == "accepts" {
					continue
				}
				if err := h.Estate.Sign(ctx, service, g.scheme, g.variable); err != nil {
					h.t.Errorf("%s: an honest request of %s is refused: %v", point, service, err)
				}
			}
		}
		return
	}
	works := map[int]bool{}
	for _, service := range both {
		for range 2 * h.Estate.Workers(service) {
			proof, err := h.Estate.Ask(ctx, service, g.variable)
			if err != nil {
				h.t.Fatalf("%s: %v", point, err)
			}
			h.learns(g)
			on := -1
			for i, v := range g.seen {
				if proof.Of(v) {
					on = i
				}
			}
			if on < 0 {
				h.t.Errorf("%s: %s runs on a value that nobody knows", point, proof.Worker)
				continue
			}
			if _, asked := works[on]; !asked {
				works[on] = g.works(g.seen[on])
			}
			if !works[on] {
				h.t.Errorf("%s: %s runs on value %d, which does not work", point, proof.Worker, on+1)
			}
		}
	}
	if n := g.valid(); n < 1 || n > 2 {
		h.t.Errorf("%s: %d values work", point, n)
	}
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
			h.t.Errorf("%s: the store of %s does not hold the one value it should (a previous one: %v)", point, service, !previous.IsZero())
		}
		// A worker that was told to reload does so in a moment.
		workers := map[string]bool{}
		for deadline := time.Now().Add(patience); len(workers) < h.Estate.Workers(service); {
			proof, err := h.Estate.Ask(ctx, service, g.variable)
			if time.Now().After(deadline) {
				h.t.Fatalf("%s: only %d workers of %s hold the value: %v", point, len(workers), service, err)
			}
			if err == nil && proof.Of(g.live) {
				workers[proof.Worker] = true
			}
		}
	}
	if g.works != nil && !g.works(g.live) {
		h.t.Errorf("%s: the live value does not work", point)
	}
	if g.valid != nil && g.valid() != 1 {
		h.t.Errorf("%s: %d values work", point, g.valid())
	}
}

// mustHaveChanged checks the end of a rotation: one new value, the old one dead, and
// nothing left behind.
func (h *house) mustHaveChanged(g *holding, old secret.Value) {
	h.t.Helper()
	g.live, _ = g.store.get(h, estatetest.API, g.variable)
	if g.live.Equal(old) {
		h.t.Errorf("%s: the value did not change", g.variable)
	}
	h.mustHold(g, "after the rotation")
	h.mustBeDead(g, old)
	if left := g.store.left(h, g.variable, old); left != "" {
		h.t.Errorf("%s: %s", g.variable, left)
	}
}

// mustHaveStayed checks the end of a way back: the old value alone, the new one dead.
func (h *house) mustHaveStayed(g *holding) {
	h.t.Helper()
	h.mustHold(g, "after the way back")
	fresh := g.seen[len(g.seen)-1]
	if fresh.Equal(g.live) {
		h.t.Fatalf("%s: nobody saw the new value", g.variable)
	}
	h.mustBeDead(g, fresh)
	if left := g.store.left(h, g.variable, fresh); left != "" {
		h.t.Errorf("%s: %s", g.variable, left)
	}
}

func (h *house) mustBeDead(g *holding, v secret.Value) {
	h.t.Helper()
	ctx, cancel := h.ctx()
	defer cancel()
	switch {
	case g.works != nil && g.works(v):
		h.t.Errorf("%s: a value works that must not", g.variable)
	case g.scheme != "":
		for range 3 * h.Estate.Workers(estatetest.API) {
			if err := h.Estate.Show(ctx, g.scheme, g.variable, v); err == nil {
				h.t.Errorf("%s: api accepts a value that it must not", g.variable)
				return
			}
		}
	}
}

// waits reports that a run has begun a step and goes on only when a person acts.
func waits(r ledger.Run) bool { return r.State == ledger.Waiting }
