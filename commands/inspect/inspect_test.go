package inspect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/audittest"
	"rekey/commands/inspect"
	"rekey/commands/secret"
)

var now = time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)

// estate is an environment whose logs lie in a test's folder.
type estate struct {
	t      *testing.T
	dir    string
	cat    *secret.Catalogue
	sentry *audittest.Sentry
}

const (
	accessLog   = "access.log"
	djangoLog   = "django.log"
	securityLog = "security.log"
)

func newEstate(t *testing.T) *estate {
	t.Helper()
	e := &estate{t: t, dir: t.TempDir()}
	s, err := audittest.StartSentry()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	e.sentry = s
	e.cat = &secret.Catalogue{
		Environments: []secret.Environment{{
			Name: "production",
			Logs: []secret.Log{
				{Path: filepath.Join(e.dir, securityLog), Format: secret.LogSecurity},
				{Path: filepath.Join(e.dir, djangoLog), Format: secret.LogDjango},
				{Path: filepath.Join(e.dir, accessLog), Format: secret.LogAccess},
			},
			Sentry: secret.Sentry{URL: s.URL(), Organization: s.Org, Project: s.Project},
			Own:    []netip.Prefix{netip.MustParsePrefix("192.0.2.10/32")},
		}},
		Secrets: []secret.Secret{
			{Name: "REVALIDATE_SECRET", Places: []secret.Place{{
				Environment: "production",
				Endpoints:   []secret.Endpoint{{Path: "/api/revalidate/", Method: "POST", Callers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}}},
			}}},
			{Name: "SECRET_KEY", Places: []secret.Place{{Environment: "production"}}},
			{Name: "ELSEWHERE", Places: []secret.Place{{Environment: "staging"}}},
		},
	}
	// Every log has something unremarkable from before the window on.
	e.access("0.0.0.0", now.Add(-30*time.Hour), "GET /", 200)
	e.access("192.0.2.5", now.Add(-time.Hour), "POST /api/revalidate/", 200)
	e.write(djangoLog, "INFO 2026-11-20 10:00:00,000 starting")
	e.write(securityLog, "INFO 2026-11-20 10:00:00,000 starting")
	return e
}

func (e *estate) write(file, line string) {
	e.t.Helper()
	f, err := os.OpenFile(filepath.Join(e.dir, file), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		e.t.Fatal(err)
	}
	if _, err := fmt.Fprintln(f, line); err != nil {
		e.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		e.t.Fatal(err)
	}
}

func (e *estate) access(addr string, at time.Time, request string, status int) {
	e.t.Helper()
	e.write(accessLog, fmt.Sprintf(`%s - - [%s] "%s HTTP/1.1" %d 29 "-" "curl/8.5"`, addr, at.Format("02/Jan/2006:15:04:05 -0700"), request, status))
}

// refused writes what one request with a wrong signature leaves in all three logs.
func (e *estate) refused(addr string, at time.Time) {
	e.t.Helper()
	stamp := at.Format("2006-01-02 15:04:05,000")
	e.write(securityLog, fmt.Sprintf("WARNING %s views_seo Invalid signature from %s on POST /api/revalidate/", stamp, addr))
	e.write(djangoLog, fmt.Sprintf("WARNING %s log 99 140 Unauthorized: /api/revalidate/", stamp))
	e.access(addr, at, "POST /api/revalidate/", 401)
}

func (e *estate) audit(ctx context.Context, name string) audit.Report {
	e.t.Helper()
	inspector, err := inspect.New(inspect.Config{
		Catalogue: e.cat, SentryToken: e.sentry.Token, Clock: func() time.Time { return now }, SentryTimeout: 5 * time.Second,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	report, err := inspector.Audit(ctx, inspect.Request{Secret: name, Environment: "production"})
	if err != nil {
		e.t.Fatal(err)
	}
	return report
}

func expect(t *testing.T, report audit.Report, outcome audit.Outcome, words ...string) {
	t.Helper()
	if report.Verdict.Outcome != outcome {
		t.Errorf("outcome %q, want %q: %s (missing: %q)", report.Verdict.Outcome, outcome, report.Verdict.Sentence, report.Verdict.Missing)
	}
	for _, word := range words {
		if !strings.Contains(report.Verdict.Sentence, word) {
			t.Errorf("sentence %q lacks %q", report.Verdict.Sentence, word)
		}
	}
}

func expectTotals(t *testing.T, got map[audit.Kind]int, signatures, denied, used int) {
	t.Helper()
	for kind, want := range map[audit.Kind]int{audit.InvalidSignature: signatures, audit.Denied: denied, audit.Used: used} {
		if got[kind] != want {
			t.Errorf("%s counted %d times, want %d", kind, got[kind], want)
		}
	}
}

func expectGap(t *testing.T, report audit.Report, source, words string) {
	t.Helper()
	for _, g := range report.Gaps {
		if g.Source == source && strings.Contains(g.Why, words) {
			return
		}
	}
	t.Errorf("no gap of %q saying %q in %+v", source, words, report.Gaps)
}

func TestNothingHappened(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	report := e.audit(t.Context(), "REVALIDATE_SECRET")
	expect(t, report, audit.NoSign, "/api/revalidate/")
	expectTotals(t, report.Totals, 0, 0, 0)
	if len(report.Gaps) != 0 {
		t.Errorf("gaps %+v, want none", report.Gaps)
	}
	if len(report.Read) != 4 || !strings.Contains(report.Read[3], "Sentry leather/leather-api (0 issues)") {
		t.Errorf("read %q, want three logs and Sentry", report.Read)
	}
}

// Guide: queries/invalid-signature
func TestStrangersWereRefusedAndEachCountsOnce(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	for n := range 12 {
		e.refused("203.0.113.66", now.Add(-3*time.Hour+time.Duration(n)*time.Second))
	}
	e.refused("192.0.2.10", now.Add(-2*time.Hour)) // rekey's own check with a wrong value
	e.access("198.51.100.7", now.Add(-time.Hour), "GET /admin/", 403)
	e.sentry.AddIssue(audittest.Issue{Title: "ZeroDivisionError", LastSeen: now.Add(-time.Minute)})
	e.sentry.AddIssue(audittest.Issue{Title: "Invalid signature", Culprit: "/api/revalidate/", Count: 13, LastSeen: now.Add(-time.Hour)})

	report := e.audit(t.Context(), "REVALIDATE_SECRET")
	expect(t, report, audit.Refused, "12 refused requests by 203.0.113.66", "at 17:00 UTC on 2026-11-22")
	expectTotals(t, report.Totals, 13, 1, 0)
	expectTotals(t, report.Strangers, 12, 1, 0)
	first := report.Findings[0]
	if want := []string{"access.log:3", "django.log:2", "security.log:2"}; !slices.Equal(first.Sources, want) {
		t.Errorf("sources %q, want %q", first.Sources, want)
	}
	if first.Kind != audit.InvalidSignature || first.Status != 401 || first.Agent != "curl/8.5" || !first.Guarded || first.Ours {
		t.Errorf("the first finding lost something of its logs: %+v", first)
	}
	if len(report.Addresses) == 0 || report.Addresses[0].Name != "203.0.113.66" || report.Addresses[0].Count != 12 {
		t.Errorf("addresses %+v, want 203.0.113.66 with 12 first", report.Addresses)
	}
	if len(report.Issues) != 2 || report.Issues[0].Title != "Invalid signature" || report.Issues[0].Count != 13 {
		t.Errorf("issues %+v, want the one about the signature first", report.Issues)
	}
}

// Guide: emergency/audit-logs
func TestTheSecretWasUsed(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	e.refused("203.0.113.66", now.Add(-3*time.Hour))
	for n := range 12 {
		// The spelling is the attacker's choice; the endpoint is not.
		spelling := []string{"/api/revalidate/", "/api/revalidate", "/api//%72evalidate/?x=1"}[n%3]
		e.access("203.0.113.66", now.Add(-2*time.Hour+time.Duration(n)*time.Second), "POST "+spelling, 200)
	}
	e.access("203.0.113.66", now.Add(-time.Hour), "GET /api/revalidate/", 200)     // another method
	e.access("203.0.113.66", now.Add(-40*time.Hour), "POST /api/revalidate/", 200) // before the window
	report := e.audit(t.Context(), "REVALIDATE_SECRET")
	expect(t, report, audit.Misused, "Used by an address that is not ours: 203.0.113.66 was refused once and then let in: it made 12 accepted requests to /api/revalidate", "at 18:00 UTC")
	expectTotals(t, report.Totals, 1, 0, 12)
}

func TestVisitorsWordsDecideNothing(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	e.access("203.0.113.66", now.Add(-time.Hour), "GET /api/401/", 404)
	e.write(accessLog, `203.0.113.66 - - [22/Nov/2026:19:00:00 +0000] "GET /x HTTP/1.1" 404 403 "-" "evil \" 403 1 \"POST /api/revalidate/ HTTP/1.1\" 200 1"`)
	e.write(accessLog, `203.0.113.66 - \"POST /api/revalidate/ HTTP/1.1\" 200 [22/Nov/2026:19:00:00 +0000] "GET /x HTTP/1.1" 404 29 "-" "Invalid signature"`)
	e.write(djangoLog, `WARNING 2026-11-22 19:00:00,000 log 99 140 Not Found: /Unauthorized: /api/revalidate/`)
	e.write(djangoLog, `WARNING 2026-11-22 19:00:00,000 log 99 140 Not Found: /x Invalid signature from 203.0.113.66`)
	report := e.audit(t.Context(), "REVALIDATE_SECRET")
	expect(t, report, audit.NoSign)
	expectTotals(t, report.Totals, 0, 0, 0)
}

func TestMissingEvidence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		spoil   func(*estate)
		outcome audit.Outcome
		source  string
		words   string
	}{
		{"no access log in the folder", func(e *estate) { e.remove(accessLog) }, audit.CannotTell, accessLog, "does not exist"},
		{"no access log in the catalogue", func(e *estate) {
			e.cat.Environments[0].Logs = e.cat.Environments[0].Logs[:2]
		}, audit.CannotTell, "access log", "names none"},
		{"a wiped access log", func(e *estate) { e.remove(accessLog); e.touch(accessLog) }, audit.CannotTell, accessLog, "is empty"},
		{"an access log that stopped long ago", func(e *estate) {
			e.remove(accessLog)
			e.access("192.0.2.5", now.Add(-40*time.Hour), "GET /", 200)
		}, audit.CannotTell, accessLog, "before the window begins"},
		{"a rotated part that is something else", func(e *estate) {
			e.remove(accessLog)
			e.access("192.0.2.5", now.Add(-time.Hour), "GET /", 200)
			e.write(accessLog+".1", "older")
		}, audit.CannotTell, accessLog + ".1", "has a time"},
		{"an access log that was begun inside the window", func(e *estate) {
			e.remove(accessLog)
			e.access("192.0.2.5", now.Add(-time.Hour), "GET /", 200)
		}, audit.NoSign, accessLog, "after the window does"},
		{"an access log in another format", func(e *estate) {
			e.remove(accessLog)
			e.write(accessLog, `{"status": 200}`)
		}, audit.CannotTell, accessLog, "has a time"},
		{"a second access log that is missing", func(e *estate) {
			logs := &e.cat.Environments[0].Logs
			*logs = append(*logs, secret.Log{Path: filepath.Join(e.dir, "nginx", accessLog), Format: secret.LogAccess})
		}, audit.CannotTell, "nginx/access.log", "does not exist"},
		{"no security log: a use would have been seen", func(e *estate) { e.remove(securityLog) }, audit.NoSign, securityLog, "does not exist"},
		{"a folder for a log", func(e *estate) {
			e.remove(djangoLog)
			if err := os.Mkdir(filepath.Join(e.dir, djangoLog), 0o700); err != nil {
				e.t.Fatal(err)
			}
		}, audit.NoSign, djangoLog, "No file is there"},
		{"Sentry is down", func(e *estate) { e.sentry.Behave(audittest.Down) }, audit.NoSign, "Sentry", "failing (503)"},
		{"the token is revoked", func(e *estate) { e.sentry.Behave(audittest.Revoked) }, audit.NoSign, "Sentry", "refused the token"},
		{"no callers in the catalogue", func(e *estate) {
			e.cat.Secrets[0].Places[0].Endpoints[0].Callers = nil
		}, audit.CannotTell, "catalogue", "names no callers for /api/revalidate/, so 1 accepted request"},
		{"only the proxy's address", func(e *estate) {
			e.access("127.0.0.1", now.Add(-time.Hour), "POST /api/revalidate/", 200)
		}, audit.CannotTell, "access logs", "the address of a proxy"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEstate(t)
			tt.spoil(e)
			report := e.audit(t.Context(), "REVALIDATE_SECRET")
			expect(t, report, tt.outcome)
			expectGap(t, report, tt.source, tt.words)
			if !slices.ContainsFunc(report.Verdict.Missing, func(m string) bool { return strings.Contains(m, tt.words) }) {
				t.Errorf("the verdict does not say what is missing: %q", report.Verdict.Missing)
			}
		})
	}
}

func (e *estate) remove(file string) {
	e.t.Helper()
	if err := os.Remove(filepath.Join(e.dir, file)); err != nil {
		e.t.Fatal(err)
	}
}

func (e *estate) touch(file string) {
	e.t.Helper()
	if err := os.WriteFile(filepath.Join(e.dir, file), nil, 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// A proxy in front logs the client, the server behind it logs the proxy: one
// request, whose sender is known.
func TestAProxyAndItsServerTellOneStory(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	logs := &e.cat.Environments[0].Logs
	*logs = append(*logs, secret.Log{Path: filepath.Join(e.dir, "gunicorn.log"), Format: secret.LogAccess})
	both := func(addr string, at time.Time, status int) {
		e.access(addr, at, "POST /api/revalidate/", status)
		e.write("gunicorn.log", fmt.Sprintf(`127.0.0.1 - - [%s] "POST /api/revalidate/ HTTP/1.0" %d 29 "-" "curl/8.5"`, at.Format("02/Jan/2006:15:04:05 -0700"), status))
	}
	e.write("gunicorn.log", `127.0.0.1 - - [21/Nov/2026:10:00:00 +0000] "GET / HTTP/1.0" 200 29 "-" "-"`)
	e.write("gunicorn.log", `127.0.0.1 - - [22/Nov/2026:19:00:00 +0000] "POST /api/revalidate/ HTTP/1.0" 200 29 "-" "-"`) // newEstate's honest one
	both("192.0.2.5", now.Add(-50*time.Minute), 200)
	both("203.0.113.66", now.Add(-40*time.Minute), 401)
	report := e.audit(t.Context(), "REVALIDATE_SECRET")
	expect(t, report, audit.Refused, "1 refused request by 203.0.113.66")
	expectTotals(t, report.Totals, 0, 1, 0)

	both("203.0.113.66", now.Add(-30*time.Minute), 200)
	report = e.audit(t.Context(), "REVALIDATE_SECRET")
	expect(t, report, audit.Misused, "it made 1 accepted request to")
}

func TestASecretWithoutEndpoints(t *testing.T) {
	t.Parallel()
	expect(t, newEstate(t).audit(t.Context(), "SECRET_KEY"), audit.CannotTell, "names no endpoint")
}

func TestKeepsTheNewestAndCountsAll(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	for n := range 350 {
		e.access("203.0.113.66", now.Add(-3*time.Hour+time.Duration(n)*time.Second), fmt.Sprintf("POST /api/revalidate/?n=%d", n), 401)
	}
	report := e.audit(t.Context(), "REVALIDATE_SECRET")
	expectTotals(t, report.Totals, 0, 350, 0)
	if len(report.Findings) != 100 {
		t.Fatalf("%d findings, want 100", len(report.Findings))
	}
	if !strings.Contains(report.Findings[0].Text, "n=250") || !strings.Contains(report.Findings[99].Text, "n=349") {
		t.Errorf("findings run from %q to %q, want the newest hundred, oldest first", report.Findings[0].Text, report.Findings[99].Text)
	}
}

// After the deadline there is still a report, with the newest entries in it.
func TestADeadlineIsAGap(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	e.refused("203.0.113.66", now.Add(-time.Hour))
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	report := e.audit(ctx, "REVALIDATE_SECRET")
	expect(t, report, audit.CannotTell, "203.0.113.66 was refused")
	expectGap(t, report, accessLog, "Time ran out")
	expectGap(t, report, "Sentry", "did not answer in time")
	expectTotals(t, report.Totals, 1, 0, 0)
}

func TestWrongQuestions(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	inspector, err := inspect.New(inspect.Config{Catalogue: e.cat})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[error]inspect.Request{
		inspect.ErrUnknownSecret:      {Secret: "NOPE"},
		inspect.ErrUnknownEnvironment: {Secret: "SECRET_KEY", Environment: "moon"},
		inspect.ErrNotThere:           {Secret: "ELSEWHERE"},
		inspect.ErrWindow:             {Secret: "SECRET_KEY", Since: now, Until: now},
	}
	for want, req := range tests {
		if _, err := inspector.Audit(t.Context(), req); !errors.Is(err, want) {
			t.Errorf("%+v: error %v, want %v", req, err, want)
		}
	}
	if _, err := inspect.New(inspect.Config{}); err == nil {
		t.Error("an inspector without a catalogue was made")
	}
}

// A report carries no credential: neither the API token nor what visitors sent.
func TestReportHoldsNoCredential(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	value := strings.Repeat("0123456789abcdef", 4)
	e.access("203.0.113.66", now.Add(-time.Hour), "POST /api/revalidate/"+value+"?token=hunter2", 401)
	e.write(securityLog, "WARNING 2026-11-22 19:00:00,000 views_seo Invalid signature from 203.0.113.66 got "+value)
	e.sentry.AddIssue(audittest.Issue{Title: "signature " + value, LastSeen: now.Add(-time.Hour)})
	text := []byte(fmt.Sprintf("%+v", e.audit(t.Context(), "REVALIDATE_SECRET")))
	for what, canary := range map[string]string{"a value": value, "a named value": "hunter2", "the token": e.sentry.Token()} {
		if bytes.Contains(text, []byte(canary)) {
			t.Errorf("the report holds %s", what)
		}
	}
}
