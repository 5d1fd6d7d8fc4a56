package rehearsal_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
	"rekey/commands/secret"
)

// house is a world in which one procedure rotates one secret in each kind of store, all
// of them at once.
type house struct {
	*stage
	databaseURL string
	watch       *app.App
	procedure   procedure
	places      *places
	holdings    []*holding
	canary      *canary
	said        *logs  // by rekey's command line
	expire      func() // lets the lease of a dead rekey pass
	deaths      int
}

func newHouse(t *testing.T, databaseURL string, p procedure) *house {
	t.Helper()
	s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
	h := &house{
		stage: s, databaseURL: databaseURL, procedure: p, places: openPlaces(t), said: &logs{},
		canary: newCanary(t, s.Estate.Dir()), expire: func() {}, // on SQLite nobody else can be alive
	}
	h.canary.addTokens(s)
	h.canary.add(awsKeyVariable, os.Getenv(awsKeyVariable), "")
	h.canary.add("Vault's token", vaultToken, "")
	for _, st := range stores {
		name := p.variable + "_" + strings.ToUpper(st.name)
		g := p.furnish(t, s, name)
		g.variable, g.store = name, st
		h.learn(g, g.live)
		h.holdings = append(h.holdings, g)
	}
	h.furnish()
	h.watch = s.watcher()
	if databaseURL != "" {
		conn := s.connect()
		// TestARekeyThatDiesIsReplacedInSeconds waits for it.
		h.expire = func() {
			if _, err := conn.Exec(t.Context(), "UPDATE rekey_replicas SET lease_until = 0 WHERE gone_at = 0"); err != nil {
				t.Fatal(err)
			}
		}
	}
	return h
}

var both = []string{estatetest.API, estatetest.Web}

// furnish puts the secrets where the services and rekey read them.
func (h *house) furnish() {
	h.t.Helper()
	for _, service := range both {
		for _, g := range h.holdings {
			g.store.put(h, service, g.variable, g.live)
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
	for _, g := range h.holdings {
		consumers.WriteString(g.store.consumers(h))
		secrets.WriteString(h.yaml(g))
	}
	whole := head + consumers.String() + "    logs:\n" + logs + secrets.String() + h.places.yaml()
	if err := os.WriteFile(h.CataloguePath(), []byte(whole), 0o600); err != nil {
		h.t.Fatal(err)
	}
	for _, g := range h.holdings {
		h.mustHold(g, "in the beginning")
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
		if accepts(role) {
			line(6, "previous: %s_OLD", g.variable)
		}
		line(6, "proof:")
		if accepts(role) {
			line(7, "request: {urls: [%q], method: POST, header: X-Signature, content_type: application/json, body: '{\"n\":1}'}", h.Estate.AcceptURL(g.scheme, g.variable))
		}
		if role != onlyAccepts {
			line(7, "challenge: {urls: [%q]}", h.Estate.ProofURL(service, g.variable))
		}
	}
	for _, l := range g.lines {
		line(4, "%s", l)
	}
	line(4, "checks: [{kind: health, name: api is well, url: %q}]", h.Estate.URL(estatetest.API)+"/api/healthcheck/")
	return b.String()
}

// learn adds a value to those that a secret had, and tells the canary of what is secret
// in it.
func (h *house) learn(g *holding, v secret.Value) {
	h.t.Helper()
	g.seen = append(g.seen, v)
	except := ""
	if h.procedure.shownToSentry {
		except = sentryTraffic
	}
	what := fmt.Sprintf("value %d of %s", len(g.seen), g.variable)
	h.canary.add(what, v.Reveal(), except)
	if g.core != nil {
		h.canary.add("what is secret in "+what, g.core(v.Reveal()), except)
	}
}

// close looks, when all is over, for what must not have been left anywhere.
func (h *house) close() {
	h.t.Helper()
	h.mustVerify(h.watch)
	h.Slack.ExpectNoErrors(h.t)
	h.mustHaveLeftNothing("in the end")
	for _, line := range []string{"runs --json", "ledger export", "ledger verify"} {
		h.command(h.said, strings.Fields(line)...)
	}
	for _, g := range h.holdings {
		h.command(h.said, "runs", g.run)
	}
	h.canary.collect()
	sinks := h.sinks(h.databaseURL, h.said)
	for _, k := range sinks {
		if found := h.canary.find(k); len(found) > 0 {
			h.t.Errorf("%s: it holds %s", k.name, strings.Join(found, "; "))
		}
	}
	h.canary.add("a run", h.holdings[0].run, "")
	h.canary.add("a secret's name", h.procedure.variable+"_", "")
	h.canary.add("a line of every log", "rekey is on duty", "")
	for _, k := range sinks {
		// PagerDuty and Sentry hear of compromised runs, and of some only; evidence is
		// attached below those alone.
		if k.name == slackFiles && len(h.Slack.Files()) == 0 {
			continue
		}
		if k.name != pagerDutyTraffic && k.name != sentryTraffic && len(h.canary.find(k)) == 0 {
			h.t.Errorf("%s: what is there was not found, so that nothing is proven", k.name)
		}
	}
}

// ctx bounds one question.
func (h *house) ctx() (context.Context, context.CancelFunc) {
	return context.WithTimeout(h.t.Context(), patience)
}
