package intake_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/secret"
)

// Whoever may not ask is told so, and why; nothing is started, nobody else is told,
// and the security log says who asked what, when, why and what became of it.
func TestARefusalStartsNothingAndIsInTheLog(t *testing.T) {
	t.Parallel()
	elsewhere := alice
	elsewhere.Channel = "C0RANDOM"
	for name, c := range map[string]struct {
		req     commands.Request
		outcome commands.Outcome
		code    string
		subject string
		says    []string
		keeps   []string // must not be told
	}{
		"a stranger": {
			ask("e1", mallory, commands.Rotate, "REVALIDATE_SECRET"), commands.Denied, "stranger", "REVALIDATE_SECRET",
			[]string{"not on the list", "#devops-alerts"},
			[]string{"REVALIDATE", "ANALYTICS"},
		},
		"a stranger who guesses names": {
			ask("e1", mallory, commands.Audit, "ANALYTICS"), commands.Denied, "stranger", "ANALYTICS",
			[]string{"not on the list"},
			[]string{"ANALYTICS_SECRET"},
		},
		"a reader who rotates": {
			ask("e1", bob, commands.Rotate, "REVALIDATE_SECRET"), commands.Denied, "read_only", "REVALIDATE_SECRET",
			[]string{"but not rotate"},
			nil,
		},
		"a responder in the wrong channel": {
			ask("e1", elsewhere, commands.Rotate, "REVALIDATE_SECRET"), commands.Denied, "wrong_channel", "REVALIDATE_SECRET",
			[]string{"<#C0ALERTS>"},
			[]string{"REVALIDATE"},
		},
		"a user of the command line who is on no list": {
			ask("e1", commands.Actor{Via: "cli", ID: "eve"}, commands.Rotate, "REVALIDATE_SECRET"), commands.Denied, "stranger", "REVALIDATE_SECRET",
			[]string{"access: cli"},
			nil,
		},
		"an unknown secret": {
			ask("e1", alice, commands.Rotate, "REVALIDATE_SECERT"), commands.Unusable, "unknown_secret", "REVALIDATE_SECERT",
			[]string{"Did you mean REVALIDATE_SECRET?", "/rotate REVALIDATE_SECRET compromised"},
			nil,
		},
		"a secret that people rotate": {
			ask("e1", alice, commands.Rotate, "EMAIL_HOST_PASSWORD"), commands.Unusable, "by_hand", "EMAIL_HOST_PASSWORD",
			[]string{"by people", "Make a new one in the mail console.", "Ops", "/audit-secret EMAIL_HOST_PASSWORD"},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.take(c.req)
			if a.Outcome != c.outcome || a.Run != "" || a.Verb != c.req.Verb {
				t.Errorf("answered %s (run %q, verb %s), want %s", a.Outcome, a.Run, a.Verb, c.outcome)
			}
			for _, s := range c.says {
				if !strings.Contains(a.Text, s) {
					t.Errorf("the answer %q does not say %q", a.Text, s)
				}
			}
			for _, s := range c.keeps {
				if strings.Contains(a.Text, s) {
					t.Errorf("the answer %q tells of %q", a.Text, s)
				}
			}
			if got := w.counts(); got != "0 runs, 1 entries, 0 jobs, 1 requests, 0 deliveries" {
				t.Errorf("left behind: %s", got)
			}
			got := w.entries()[0]
			want := ledger.Entry{
				At: noon, Actor: c.req.Actor.String(), Action: string(c.req.Verb) + ".refused", Subject: c.subject,
				Why: c.req.Reason, Result: "refused", Detail: map[string]string{"because": c.code},
				Seq: 1, Prev: got.Prev, Hash: got.Hash,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the entry (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHelpIsEverybodysAndLeavesNoTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.take(ask("e1", mallory, commands.Help, "")); a.Outcome != commands.Told || a.Text != commands.HelpText() {
		t.Errorf("answered %s: %s", a.Outcome, a.Text)
	}
	if got := w.counts(); got != "0 runs, 0 entries, 0 jobs, 0 requests, 0 deliveries" {
		t.Errorf("left behind: %s", got)
	}
}

// People paste the leaked value itself, anywhere. It reaches neither the database, in
// any of its files, nor the answer.
func TestAPastedValueIsNotKept(t *testing.T) {
	t.Parallel()
	fresh, err := secret.Generate(secret.Hex32, nil)
	if err != nil {
		t.Fatal(err)
	}
	django, err := secret.Generate(secret.Django, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"a known value that looks like words": "open-sesame-please",
		"a long token nobody knows":           fresh.Reveal(),
		"a Django key nobody knows":           django.Reveal(),
	} {
		for where, put := range map[string]func(*commands.Request){
			"reason":                        func(r *commands.Request) { r.Reason = "somebody posted " + value + " in chat" },
			"secret":                        func(r *commands.Request) { r.Secret = value },
			"environment":                   func(r *commands.Request) { r.Environment = value },
			"secret and environment":        func(r *commands.Request) { r.Secret, r.Environment = value, value },
			"the reason of a refused one":   func(r *commands.Request) { r.Actor, r.Reason = mallory, value },
			"the name, typed by a stranger": func(r *commands.Request) { r.Actor, r.Secret = mallory, value },
		} {
			t.Run(name+"/"+where, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.guard.Add(secret.Fingerprints(w.key, "REVALIDATE_SECRET", "production", secret.RoleLive, secret.NewValue("open-sesame-please")))
				req := ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET")
				put(&req)
				a := w.take(req)
				if strings.Contains(a.Text, value) {
					t.Error("the answer repeats the value")
				}
				w.mustNotHold(value)
				if again := w.take(req); strings.Contains(again.Text, value) {
					t.Error("the second answer repeats the value")
				}
				if len(w.entries()) != 1 {
					t.Fatalf("%d entries, want 1", len(w.entries()))
				}
			})
		}
	}
}

// What is left of the reason still says why.
func TestTheReasonIsKeptWithoutTheValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.guard.Add(secret.Fingerprints(w.key, "REVALIDATE_SECRET", "production", secret.RoleLive, secret.NewValue("open-sesame-please")))
	req := ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET")
	req.Reason = "  posted open-sesame-please in chat "
	run := w.run(w.take(req).Run)
	if want := "posted [redacted] in chat"; run.Reason != want || w.entries()[0].Why != want {
		t.Errorf("the run says %q and the log %q, want %q", run.Reason, w.entries()[0].Why, want)
	}
}

func TestAReasonIsCutAt500Runes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		runes int
		want  string
	}{
		{500, strings.Repeat("ß", 500)},
		{501, strings.Repeat("ß", 500) + "…"},
		{100_000, strings.Repeat("ß", 500) + "…"},
	} {
		w := newWorld(t)
		req := ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET")
		req.Reason = strings.Repeat("ß", c.runes)
		run := w.run(w.take(req).Run)
		if run.Reason != c.want || w.entries()[0].Why != c.want {
			t.Errorf("of %d runes %d were kept", c.runes, len([]rune(run.Reason)))
		}
	}
}

// A value is masked before the reason is cut, or half of it would stay.
func TestAValueAcrossTheCutIsMaskedWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, err := secret.Generate(secret.Hex32, nil)
	if err != nil {
		t.Fatal(err)
	}
	req := ask("e1", alice, commands.Rotate, "REVALIDATE_SECRET")
	req.Reason = strings.Repeat("x ", 240) + v.Reveal()
	w.take(req)
	w.mustNotHold(v.Reveal()[:16])
}

// No way of asking puts a request past the log.
func TestTheLogHoldsAfterEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.take(ask("e1", mallory, commands.Rotate, "REVALIDATE_SECRET"))
	w.take(ask("e2", alice, commands.Rotate, "REVALIDATE_SECRET"))
	w.take(ask("e3", alice, commands.Rotate, "REVALIDATE_SECRET"))
	w.take(ask("e4", bob, commands.Audit, "REVALIDATE_SECRET"))
	v, err := w.store.Verify(context.Background())
	if err != nil || !v.OK || v.Entries != 4 {
		t.Errorf("the security log: %+v, %v", v, err)
	}
}
