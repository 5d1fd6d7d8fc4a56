package inspect_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands/inspect"
	"rekey/commands/secret"
)

// retired is a value that no store holds any more: only its fingerprints are left.
const retired = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func tracerOf(t *testing.T, values ...string) func(context.Context, string, string) (*secret.Tracer, error) {
	t.Helper()
	key, err := secret.ParseKey(secret.NewValue(strings.Repeat("5a", 32)))
	if err != nil {
		t.Fatal(err)
	}
	var fs []ledger.Fingerprint
	for _, v := range values {
		fs = append(fs, secret.Fingerprints(key, "REVALIDATE_SECRET", "production", secret.RoleRetired, secret.NewValue(v))...)
	}
	return func(context.Context, string, string) (*secret.Tracer, error) { return secret.NewTracer(key, fs), nil }
}

func (e *estate) traced(tracer func(context.Context, string, string) (*secret.Tracer, error), brief bool) audit.Report {
	e.t.Helper()
	inspector, err := inspect.New(inspect.Config{
		Catalogue: e.cat, SentryToken: e.sentry.Token, Clock: func() time.Time { return now }, SentryTimeout: 5 * time.Second, Tracer: tracer,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	report, err := inspector.Audit(e.t.Context(), inspect.Request{Secret: "REVALIDATE_SECRET", Environment: "production", Brief: brief})
	if err != nil {
		e.t.Fatal(err)
	}
	return report
}

// The value itself is found wherever it stands in the logs, in a packed part too, and the
// report names the line without showing the value.
func TestTheValueItselfIsFoundInTheLogs(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	e.write(djangoLog, "DEBUG 2026-11-22 18:00:00,000 "+strings.Repeat("settings ", 40)+"REVALIDATE_SECRET="+retired+" loaded, "+retired[:12]+"… is its beginning")
	e.write(djangoLog, "DEBUG 2026-11-22 18:00:01,000 key "+retired[:12]+"…")
	e.write(djangoLog, "DEBUG 2026-11-22 18:00:02,000 key "+retired[:11]+"…")
	e.access("203.0.113.66", now.Add(-time.Hour), "GET /?k="+url.QueryEscape(retired), 404)
	f, err := os.Create(filepath.Join(e.dir, accessLog+".1.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(`192.0.2.5 - - [21/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 29 "-" "` + retired + "\"\n")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	report := e.traced(tracerOf(t, retired), false)
	type place struct {
		Source string
		Whole  bool
	}
	var got []place
	for _, x := range report.Exposed {
		got = append(got, place{x.Source, x.Whole})
		if strings.Contains(x.Text, retired[:12]) || !strings.Contains(x.Text, "[redacted]") {
			t.Errorf("%s shows %q", x.Source, x.Text)
		}
		if x.At.IsZero() {
			t.Errorf("%s has no time", x.Source)
		}
	}
	want := []place{{"django.log:2", true}, {"django.log:3", false}, {"access.log.1.gz:1", true}, {"access.log:3", true}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("places (-want +got):\n%s", d)
	}
	said := strings.Join(report.Verdict.Reasons, " ")
	if report.Verdict.Outcome != audit.NoSign || !strings.Contains(said, "stands in 4 lines of the logs") || report.Verdict.Confidence != audit.Medium {
		t.Errorf("the verdict is %+v", report.Verdict)
	}
	if text := report.Exposed[0].Text; !strings.HasPrefix(text, "…") || !strings.Contains(text, "loaded, [redacted]") {
		t.Errorf("far into a line it shows %q", text)
	}
}

func TestWhereNoValueStandsNothingIsSaid(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	e.write(djangoLog, "DEBUG 2026-11-22 18:00:00,000 REVALIDATE_SECRET="+strings.Repeat("ab", 32))
	if report := e.traced(tracerOf(t, retired), false); len(report.Exposed) > 0 || report.Verdict.Confidence != audit.High {
		t.Errorf("%+v, %+v", report.Exposed, report.Verdict)
	}
	e.write(djangoLog, "DEBUG 2026-11-22 18:00:00,000 REVALIDATE_SECRET="+retired)
	if report := e.traced(tracerOf(t), false); len(report.Exposed) > 0 {
		t.Errorf("without fingerprints: %+v", report.Exposed)
	}
	if report := e.traced(tracerOf(t, retired), true); len(report.Exposed) > 0 {
		t.Errorf("a brief look: %+v", report.Exposed)
	}
	broken := func(context.Context, string, string) (*secret.Tracer, error) {
		return nil, errors.New("the security log is locked")
	}
	report := e.traced(broken, false)
	if len(report.Gaps) != 1 || !strings.Contains(report.Gaps[0].Why, "the security log is locked") {
		t.Errorf("gaps %+v", report.Gaps)
	}
}

// When time has run out by then, each log that was not searched is named.
func TestWhatWasNotSearchedForTheValueIsSaid(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready := tracerOf(t, retired)
	inspector, err := inspect.New(inspect.Config{
		Catalogue: e.cat, SentryToken: e.sentry.Token, Clock: func() time.Time { return now }, SentryTimeout: 5 * time.Second,
		Tracer: func(ctx context.Context, name, environment string) (*secret.Tracer, error) {
			cancel() // whoever asks for the tracer has no time left
			return ready(ctx, name, environment)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	report, err := inspector.Audit(ctx, inspect.Request{Secret: "REVALIDATE_SECRET", Environment: "production"})
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, g := range report.Gaps {
		if strings.Contains(g.Why, "searched for the value itself") {
			said[g.Source] = true
		}
	}
	if want := map[string]bool{securityLog: true, djangoLog: true, accessLog: true}; !cmp.Equal(want, said) {
		t.Errorf("not searched: %v, want %v", said, want)
	}
}
