package sessions_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/reload"
	"rekey/commands/secret"
	"rekey/commands/sessions"
)

const canary = "canary-5f3a90c1b7d2e844-canary"

// guard knows the canary, as rekey knows every value of a run.
func guard() *secret.Guard {
	key := secret.Key{Value: secret.NewValue(strings.Repeat("k", secret.KeySize))}
	g := secret.NewGuard(key)
	g.Add(secret.Fingerprints(key, "SECRET_KEY", "production", "live", secret.NewValue(canary)))
	return g
}

// sh answers a command: the owner's are programs, and sh is one.
func sh(script string, args ...string) []string {
	return append([]string{"sh", "-c", script, "sh"}, args...)
}

// Guide: procedures/secret-key/impact
func TestCountTellsWhatEnds(t *testing.T) {
	t.Parallel()
	for printed, want := range map[string]string{
		`{"sessions": 120, "password reset links": 3}`: "120 sessions and 3 password reset links end.",
		`{"sessions": 1}`: "1 session ends.",
		`{"sessions": 1, "password reset links": 1}`: "1 session and 1 password reset link end.",
		`{"sessions": 0, "password reset links": 2}`: "2 password reset links end.",
		`{"sessions": 0}`:                     "No sessions end.",
		`{}`:                                  "No sessions end.",
		`{"b": 1234567, "a": 1000, "c": 999}`: "1,234,567 b, 1,000 a and 999 c end.",
		"{\n  \"sessions\": 12040\n}\n":       "12,040 sessions end.",
		`{"VIP access":1}`:                    "1 VIP access ends.",
		`{"sessions of\u0000\u202e x": 2}`:    "2 sessions of x end.",
		fmt.Sprintf(`{"sessions signed with %s": 2}`, canary): "2 sessions signed with [redacted] end.",
		`{"` + strings.Repeat("sessions ", 20) + `": 2}`:      "2 sessions sessions sessions sessions ses… end.",
	} {
		got, err := sessions.Count(t.Context(), &secret.Sessions{Count: sh(`echo a warning >&2; printf '%s' "$1"`, printed)}, guard())
		if err != nil || got.Sentence() != want {
			t.Errorf("%s: %q, %v; want %q", printed, got.Sentence(), err, want)
		}
	}
}

func TestCountKeepsTheOrder(t *testing.T) {
	t.Parallel()
	got, err := sessions.Count(t.Context(), &secret.Sessions{Count: sh(`echo '{"z": 3, "a": 4}'`)}, guard())
	want := sessions.Minted{{Name: "z", N: 3}, {Name: "a", N: 4}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" || got.Total() != 7 {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestWhatIsNoCount(t *testing.T) {
	t.Parallel()
	for _, printed := range []string{
		"", "120", "[120]", `{"sessions": "120"}`, `{"sessions": 1.5}`, `{"sessions": -1}`, `{"sessions": 1e3}`, `{"sessions": null}`,
		`{"sessions": {"x": 1}}`, `{"sessions": 1`, `{"sessions": 1} {"sessions": 2}`, `{"": 1}`, "loading\n{\"sessions\": 1}", canary,
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}`, `{"sessions": 99999999999999999999}`,
	} {
		got, err := sessions.Count(t.Context(), &secret.Sessions{Count: sh(`printf '%s' "$1"`, printed)}, guard())
		if err == nil || got != nil || !strings.Contains(err.Error(), "JSON object") || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v, %v; want an error that says what is expected and quotes nothing", printed, got, err)
		}
	}
}

func TestNothingConfigured(t *testing.T) {
	t.Parallel()
	for _, m := range []*secret.Sessions{nil, {}} {
		if _, err := sessions.Count(t.Context(), m, guard()); !errors.Is(err, sessions.ErrCannotTell) {
			t.Errorf("counting: %v, want %v", err, sessions.ErrCannotTell)
		}
		if note, err := sessions.End(t.Context(), m, guard()); note != "" || err != nil {
			t.Errorf("ending: %q, %v", note, err)
		}
		if note, err := sessions.Tidy(t.Context(), m, guard()); note != "" || err != nil {
			t.Errorf("tidying: %q, %v", note, err)
		}
	}
}

// Guide: procedures/secret-key/clear-sessions
func TestEndAndTidyRunTheirOwnCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := &secret.Sessions{
		Count: sh(`echo count >>"$1"; echo '{}'`, filepath.Join(dir, "did")),
		End:   sh(`echo end >>"$1"; echo; echo "Removed 120 sessions signed with $2"; echo`, filepath.Join(dir, "did"), canary),
		Tidy:  sh(`echo tidy >>"$1"`, filepath.Join(dir, "did")),
	}
	note, err := sessions.End(t.Context(), m, guard())
	if want := "Everything the old value had signed was ended. The command said: Removed 120 sessions signed with [redacted]"; note != want || err != nil {
		t.Errorf("ending: %q, %v; want %q", note, err, want)
	}
	note, err = sessions.Tidy(t.Context(), m, guard())
	if want := "Dead sessions were cleared."; note != want || err != nil {
		t.Errorf("tidying: %q, %v; want %q", note, err, want)
	}
	did, err := os.ReadFile(filepath.Join(dir, "did"))
	if err != nil || string(did) != "end\ntidy\n" {
		t.Errorf("what was run: %q, %v", did, err)
	}
	m.End = sh(`yes "a chatty command" | head -c 100000`)
	if note, err := sessions.End(t.Context(), m, guard()); err != nil || !strings.HasPrefix(note, "Everything") {
		t.Errorf("a chatty command: %q, %v", note, err)
	}
}

func TestFailuresAreToldWithoutValues(t *testing.T) {
	t.Parallel()
	m := &secret.Sessions{
		Count: sh(`echo "no database: postgres://u:` + canary + `@db/x is gone" >&2; exit 3`),
		End:   sh(`echo "half done with ` + canary + `"; exit 4`),
		Tidy:  []string{"/no/such/command"},
	}
	_, err := sessions.Count(t.Context(), m, guard())
	var failed *reload.Error
	if !errors.As(err, &failed) || failed.Code != 3 || !strings.Contains(err.Error(), "no database") || strings.Contains(err.Error(), canary) {
		t.Errorf("counting: %v", err)
	}
	if _, err = sessions.End(t.Context(), m, guard()); !errors.As(err, &failed) || failed.Code != 4 || !strings.Contains(err.Error(), "half done") || strings.Contains(err.Error(), canary) {
		t.Errorf("ending: %v", err)
	}
	if _, err = sessions.Tidy(t.Context(), m, guard()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("tidying: %v", err)
	}
	m.Count, m.Timeout = []string{"sleep", "3600"}, 50*time.Millisecond
	if _, err = sessions.Count(t.Context(), m, guard()); !errors.As(err, &failed) || failed.TimedOut != m.Timeout {
		t.Errorf("a command that hangs: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = sessions.End(ctx, m, guard()); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
