package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/audit/ledger/ledgertest"
	"rekey/commands/estatetest"
)

// TestMain may find itself to be a service of the drill's estate.
func TestMain(m *testing.M) {
	estatetest.Main()
	os.Exit(m.Run())
}

// The drill judges itself: it fails unless the attacker was locked out, nobody honest
// was refused, and everything that was planted was found.
func TestTheDrillEndsAsAResponderNeedsItTo(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) string{
		"sqlite":   func(testing.TB) string { return "" },
		"postgres": ledgertest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			page, chart := filepath.Join(t.TempDir(), "page.html"), filepath.Join(t.TempDir(), "chart.png")
			var out bytes.Buffer
			if err := play(ctx, options{Listen: "127.0.0.1:0", Database: database(t), Page: page, Chart: chart}, &out); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			for _, want := range []string{command, "#devops-alerts, edited", "PagerDuty wakes on-call (critical)", "the old value is dead", "0 of ", "refused 6 times and then let in", "Not ours, let in: "} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the drill does not show %q:\n%s", want, out.String())
				}
			}
			if text, err := os.ReadFile(page); err != nil || !bytes.Contains(text, []byte("Verdict")) {
				t.Errorf("the page does not show the verdict: %v", err)
			} else if !bytes.Contains(text, []byte(`src="data:image/png;base64,`)) {
				t.Error("the page does not show the chart")
			}
			if picture, err := os.ReadFile(chart); err != nil || !bytes.HasPrefix(picture, []byte("\x89PNG")) {
				t.Errorf("the chart was not written: %v", err)
			}
		})
	}
}

// A figure that is not as it must be fails the drill.
func TestTheDrillDoesNotPraiseItself(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	if err := play(ctx, options{Listen: "127.0.0.1:0"}, &bytes.Buffer{}); err == nil {
		t.Error("a drill that could not be played succeeded")
	}
}
