package rehearsal_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"rekey/audit/audittest"
	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/cli"
	"rekey/cmd/internal/rehearsal"
	"rekey/commands/estatetest"
	"rekey/commands/journal"
)

// After a whole incident, in which people and machines pasted values wherever a value
// can be pasted, no value that ever was one is anywhere but in the env files: not in
// the database, not in the log, not in what Slack, PagerDuty and Sentry were sent, not
// on the terminal. Nor is a token anywhere but with its own vendor.
//
// Guide: practices/never-commit
func TestNoSecretIsLeftAnywhere(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
		c := newCanary(t, s.Estate.Dir())
		c.addTokens(s)
		s.raise(func(cfg *app.Config) {
			impatient(cfg)
			cfg.Log = slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})
			cfg.Observer = func(ledger.Run, ledger.Step, journal.Moment) { c.collect() }
		})
		terminal := &logs{}
		s.incident(c, terminal)
		if len(s.Slack.Files()) == 0 || !strings.Contains(terminal.String(), "The bundle holds") {
			t.Fatalf("%d files are in Slack, the terminal says:\n%s", len(s.Slack.Files()), terminal.String())
		}
		if n := c.values(); n != 7 {
			t.Fatalf("the incident knew %d values, want 7: 5 at first, one new, one new that was rolled back", n)
		}

		sinks := s.sinks(databaseURL, terminal)
		for _, k := range sinks {
			if found := c.find(k); len(found) > 0 {
				t.Errorf("%s: it holds %s", k.name, strings.Join(found, "; "))
			}
		}
		s.mustVerify(s.app)
		s.Slack.ExpectNoErrors(t)

		s.plant(terminal)
		for _, k := range s.sinks(databaseURL, terminal) {
			if len(c.find(k)) == 0 {
				t.Errorf("%s: a value planted there was not found, so that nothing is proven", k.name)
			}
		}
	})
}

// incident lets everything happen that can make a value travel.
func (s *stage) incident(c *canary, terminal *logs) {
	t := s.t
	old := s.Estate.Values()["REVALIDATE_SECRET"].Reveal()
	traffic := s.Estate.StartTraffic(t.Context(), estatetest.TrafficConfig{Honest: 10, Attack: 4, Probe: 4})
	s.within("the attacker gets in", func() bool { return traffic.Counts().Attacker.Accepted > 2 })
	s.putIntoEvidence(old)
	s.Sentry.AddIssue(audittest.Issue{Title: "SignatureError: bad signature, key was " + old, Culprit: "views_seo in " + old, Value: "key=" + url.QueryEscape(old)})

	// What people paste, into every place of every command.
	b64 := base64.StdEncoding.EncodeToString([]byte(old))
	s.typed(s.Alice, "/rotate REVALIDATE_SECRET compromised found "+old+" in a CI log, as base64 "+b64+", see https://ci.example.com/?key="+old+"&x="+strings.ToUpper(old))
	for _, line := range []string{
		"/rotate " + old + " compromised it is this one", "/rotate REVALIDATE_SECRE compromised " + old,
		"/rotate REVALIDATE_SECRET " + old, "/rotate REVALIDATE_SECRET " + old + " compromised",
		"/rotate REVALIDATE_SECRET compromised in " + old, "/rotate REVALIDATE_SECRET routine env=" + old + " " + b64,
		"/rotate status " + old, "/rotate help " + old, "/rotate list " + old, old, "/audit-secret " + old,
		"/audit-secret REVALIDATE_SECRET since " + old, "/audit-secret REVALIDATE_SECRET in " + old,
	} {
		if !strings.HasPrefix(line, "/") {
			line = "/rotate " + line
		}
		s.typed(s.Alice, line)
		s.typed(s.Mallory, line)
	}
	mustEnd(t, s.ends(s.app), ledger.Succeeded)

	// A rotation that fails and goes back: its new value is dead, and still nobody's.
	s.faults(estatetest.Web, estatetest.Faults{IgnoreReload: true})
	live := s.inFile("REVALIDATE_SECRET")
	s.typed(s.Alice, "/rotate ANALYTICS_SECRET routine quarterly, not "+live)
	mustEnd(t, s.ends(s.app), ledger.RolledBack)
	s.faults(estatetest.Web, estatetest.Faults{})
	c.collect()

	// What anybody ever knew, from here on told by those who may not and by rekey itself.
	for _, v := range c.plain() {
		s.typed(s.Mallory, "/rotate REVALIDATE_SECRET compromised "+v)
		s.typed(s.Mallory, "/audit-secret "+base64.URLEncoding.EncodeToString([]byte(v)))
		if s.strange(v) {
			continue // rekey has no way to know it in its own errors
		}
		s.app.Log().Error("a library says "+v, "cause", "the key "+v+" is not valid", "raw", []byte(v)) //nolint:sloglint // what a library may do
	}
	s.putIntoEvidence(live)
	s.typed(s.Bob, "/audit-secret REVALIDATE_SECRET since 24h")
	s.ends(s.app)
	traffic.Stop()
	s.within("Sentry was told of rekey's own errors", func() bool { return len(s.Sentry.Envelopes()) > 0 })
	s.PagerDuty.ExpectIncident(t, bottest.Resolved, "REVALIDATE_SECRET")

	for _, args := range [][]string{
		{"runs"},
		{"runs", "--json"},
		{"list"},
		{"list", "--json"},
		{"ledger", "export"},
		{"ledger", "verify"},
		{"check"},
		{"audit-secret", "ANALYTICS_SECRET"},
		{"audit-secret", "REVALIDATE_SECRET", "--json"},
		{"audit-secret", "REVALIDATE_SECRET", "--format", "markdown", "--chart", s.chart()},
		{"audit-secret", "REVALIDATE_SECRET", "--bundle", s.bundle()},
		{"bundle", "verify", s.bundle(), "--log"},
		{"rotate", old, "compromised"},
		{"rotate", "NO_SUCH", "compromised", old},
		{"rotate", "NO_SUCH", old},
		{"rotate", "REVALIDATE_SECRET", "routine", "--env", live},
		{"runs", old},
		{old},
		{"rotate", "--" + old},
		{"audit-secret", "REVALIDATE_SECRET", "--since", live},
	} {
		s.command(terminal, args...)
	}
	for _, r := range s.runs(s.app) {
		s.command(terminal, "runs", r.ID)
		s.command(terminal, "runs", r.ID, "--json")
	}
	s.ends(s.app)
}

// strange reports that a value is of a secret that the catalogue does not have.
func (s *stage) strange(value string) bool {
	for name, v := range s.Estate.Values() {
		if v.Reveal() == value {
			return name != "REVALIDATE_SECRET" && name != "ANALYTICS_SECRET"
		}
	}
	return false
}

func (s *stage) inFile(variable string) string {
	s.t.Helper()
	v, err := s.Estate.InFile(estatetest.API, variable)
	if err != nil {
		s.t.Fatal(err)
	}
	return v.Reveal()
}

// command runs a command line as rekey's own program does.
func (s *stage) command(terminal *logs, args ...string) {
	args = append([]string{"--config", s.CataloguePath()}, args...) // kong reads the variable from this process
	cli.Main(s.t.Context(), args, cli.Env{Out: terminal, Err: terminal, Getenv: s.Getenv, Version: "rehearsal"})
}

// putIntoEvidence makes refused requests that carry a value where logs keep it.
func (s *stage) putIntoEvidence(value string) {
	s.t.Helper()
	percent := ""
	for _, b := range []byte(value) {
		percent += fmt.Sprintf("%%%02X", b)
	}
	for _, query := range []string{"?secret=" + value, "?secret=" + percent, "?" + base64.RawURLEncoding.EncodeToString([]byte(value))} {
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.Estate.URL(estatetest.API)+"/api/revalidate/"+query, strings.NewReader("{}"))
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", estatetest.ProberAddr)
		req.Header.Set("X-Signature", value)
		req.Header.Set("User-Agent", "key "+value)
		req.Header.Set("Referer", "https://ci.example.com/"+value)
		s.send(req, http.StatusForbidden)
	}
}

// plant puts a value where none may be, into each kind of sink and in another form
// each time.
func (s *stage) plant(terminal *logs) {
	t := s.t
	value := s.Estate.Values()["SECRET_KEY"].Reveal()
	err := s.app.Store().Update(t.Context(), func(ctx context.Context, tx ledger.Tx) error {
		return tx.Append(ctx, &ledger.Entry{Actor: "test", Action: "planted", Why: value})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.command(terminal, "ledger", "export")
	s.plantFile(value)
	s.plantBundle("key=" + value)
	slog.New(newLog(s.log)).Info("planted", "value", base64.StdEncoding.EncodeToString([]byte("x"+value)))
	s.plantAcknowledgement(strings.ToUpper(value))
	for address, body := range map[string]string{
		s.Slack.APIURL() + "chat.postMessage":     "text=" + fmt.Sprintf("%x", value),
		s.PagerDuty.URL() + "/v2/enqueue":         `{"summary":"` + base64.URLEncoding.EncodeToString([]byte(value)) + `"}`,
		s.Sentry.URL() + "/api/0/organizations/x": `{"title":"` + fmt.Sprintf("%X", value) + `"}`,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		s.send(req, 0)
	}
}

// send makes a request and wants a status, or any when it is 0.
func (s *stage) send(req *http.Request, status int) {
	s.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		s.t.Fatal(err)
	}
	if status != 0 && res.StatusCode != status {
		s.t.Errorf("%s answers %d, want %d", req.URL.Path, res.StatusCode, status)
	}
}

// A value short enough to pass for a word is not repeated to whoever typed it, even
// where the command is refused before anybody has looked at it.
func TestAShortValueIsNotRepeatedInAnAnswer(t *testing.T) {
	t.Parallel()
	s := world(t, rehearsal.Config{})
	const short = "tr0ub4dor-and-3-more"
	for _, service := range []string{estatetest.API, estatetest.Web} {
		file := s.Estate.EnvFile(service)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		long := s.Estate.Values()["ANALYTICS_SECRET"].Reveal()
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), long, short)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.raise(nil)
	answer := s.Alice.Types(t, s.Alerts, "/rotate REVALIDATE_SECRET leaked "+short)
	if !strings.Contains(answer.Text, "Try: /rotate REVALIDATE_SECRET compromised") {
		t.Errorf("Slack shows %q", answer.Text)
	}
	for _, frame := range s.Slack.Traffic() {
		if strings.Contains(string(frame), short) {
			t.Error("Slack was sent the value")
		}
	}
}
