package checklist_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/audit/audittest/porttest"
	"rekey/commands/checklist"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// live is the value that works; nobody may hear of it.
const canary = "canary-5f3a90c1b7d2e844-canary"

var live = secret.NewValue(canary)

const (
	minute = time.Minute
	// soon ends a check that is not going to pass.
	soon  = 100 * time.Millisecond
	often = time.Millisecond
)

func guard(values ...secret.Value) *secret.Guard {
	key := secret.Key{Value: secret.NewValue(strings.Repeat("k", secret.KeySize))}
	g := secret.NewGuard(key)
	for _, v := range append(values, live) {
		g.Add(secret.Fingerprints(key, "X", "production", "live", v))
	}
	return g
}

func start(t *testing.T, deps checklist.Deps) *checklist.Checklist {
	t.Helper()
	if deps.Guard == nil {
		deps.Guard = guard()
	}
	c, err := checklist.New(deps)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// input is about a secret of the procedure, live since an hour.
func input(p secret.Procedure, checks ...secret.Check) checklist.Input {
	return checklist.Input{
		Environment: secret.Environment{Name: "production"},
		Secret:      secret.Secret{Name: "THE_SECRET", Procedure: p},
		Place:       secret.Place{Environment: "production", Checks: checks},
		Live:        live, Since: time.Now().Add(-time.Hour),
	}
}

// run does one check that takes as long as it takes.
func run(t *testing.T, c *checklist.Checklist, in checklist.Input) checklist.Line {
	t.Helper()
	lines := c.Run(t.Context(), in)
	if len(lines) != len(in.Place.Checks) || len(lines) == 0 {
		t.Fatalf("%d lines for %d checks", len(lines), len(in.Place.Checks))
	}
	for _, l := range lines {
		if strings.Contains(l.Sentence(), canary) {
			t.Error("a line holds the value")
		}
		if !strings.HasSuffix(l.Sentence(), ".") || strings.HasSuffix(l.Sentence(), "..") || strings.Contains(l.Sentence(), "\n") {
			t.Errorf("%q is not one plain sentence", l.Sentence())
		}
	}
	return lines[0]
}

func want(t *testing.T, l checklist.Line, outcome verify.Outcome, words ...string) {
	t.Helper()
	if l.Outcome != outcome {
		t.Errorf("%s: %s, want %s: %s", l.Name, l.Outcome, outcome, l.Detail)
	}
	for _, w := range words {
		if !strings.Contains(l.Detail, w) {
			t.Errorf("%s: %q does not say %q", l.Name, l.Detail, w)
		}
	}
}

func sh(script string, args ...string) []string {
	return append([]string{"sh", "-c", script, "sh"}, args...)
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// closed is an address nobody listens at.
func closed(t *testing.T) string {
	t.Helper()
	return "http://" + porttest.Closed(t)
}

// appendTo writes a line to a log as a server does.
func appendTo(t *testing.T, path, format string, args ...any) {
	t.Helper()
	f, err := os.OpenFile(filepath.Clean(path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, format+"\n", args...); err != nil {
		t.Fatal(err)
	}
}
