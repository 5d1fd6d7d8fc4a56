package usage_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/commands/issue"
	"rekey/commands/secret"
)

// exporter is a service with a page of metrics.
type exporter struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	page   func() string
	asked  int
	agent  string
}

func export(t *testing.T, page func() string) *exporter {
	t.Helper()
	e := &exporter{status: http.StatusOK, page: page}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.asked++
		e.agent = r.UserAgent()
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.WriteHeader(e.status)
		fmt.Fprint(w, e.page())
	}))
	t.Cleanup(e.Close)
	return e
}

const previousSeries = `signatures_verified_total{version="previous",path="/api/"}`

func page(value string) func() string {
	return func() string {
		return `# HELP signatures_verified_total Signatures that fitted.
# TYPE signatures_verified_total counter
signatures_verified_total_created{path="/api/",version="previous"} 1.7e+09
signatures_verified_total{path="/api/",version="current"} 9000
signatures_verified_total{ path = "/api/" , version="previous", } ` + value + ` 1700000000000
signatures_verified_total{path="/a\"pi\\/\n}",version="previous"} 77
signatures_verified 5
`
	}
}

// watch looks at one series again and again, while the clock goes on.
type watch struct {
	t     *testing.T
	e     *exporter
	look  func(since time.Time) (issue.Usage, error)
	clock time.Time
}

func watching(t *testing.T) *watch {
	t.Helper()
	w := &watch{t: t, e: export(t, page("12")), clock: now}
	l := looker(t, func() time.Time { return w.clock })
	w.look = func(since time.Time) (issue.Usage, error) {
		return l.Look(t.Context(), []secret.UsageSource{{Metric: w.e.URL + "/metrics", Series: previousSeries}}, since)
	}
	return w
}

func (w *watch) after(d time.Duration, value string) {
	w.clock = w.clock.Add(d)
	w.e.mu.Lock()
	w.e.page = page(value)
	w.e.mu.Unlock()
}

func TestCounterThatStandsStillForLongEnough(t *testing.T) {
	t.Parallel()
	w := watching(t)
	var wait *issue.Wait
	if got, err := w.look(long); got.Any() || !errors.As(err, &wait) || wait.Again != 5*time.Minute {
		t.Fatalf("the first look: %+v, %v; want patience for 5 min", got, err)
	}
	if w.e.asked != 2 || w.e.agent != "rekey-check/1" {
		t.Errorf("the first look read %d times as %s, want twice as rekey", w.e.asked, w.e.agent)
	}
	w.after(4*time.Minute, "12")
	if got, err := w.look(long); got.Any() || !errors.As(err, &wait) || wait.Again != time.Minute {
		t.Fatalf("after 4 min: %+v, %v; want patience for another", got, err)
	}
	w.after(time.Minute, "12")
	if got, err := w.look(long); got.Any() || err != nil {
		t.Fatalf("after 5 min: %+v, %v; want nobody", got, err)
	}
	// For the next run it has to stand still anew.
	if got, err := w.look(w.clock.Add(-time.Minute)); got.Any() || !errors.As(err, &wait) || wait.Again != 4*time.Minute {
		t.Fatalf("a minute after another switch: %+v, %v", got, err)
	}
}

func TestCounterThatGrows(t *testing.T) {
	t.Parallel()
	w := watching(t)
	_, _ = w.look(long)
	w.after(2*time.Minute, "18")
	got, err := w.look(long)
	if err != nil || got.PerMinute != 3 || len(got.Users) != 1 || !strings.Contains(got.Users[0], "signatures_verified_total on 127.0.0.1") ||
		!strings.Contains(got.Users[0], "(6 times") || !got.Since.Equal(w.clock) {
		t.Fatalf("6 in 2 min: %+v, %v", got, err)
	}
	// A service that begins anew counts from zero.
	w.after(2*time.Minute, "2")
	if got, err = w.look(long); err != nil || got.PerMinute != 2 {
		t.Fatalf("8 in 4 min: %+v, %v", got, err)
	}
	w.after(time.Second, "0")
	if got, err = w.look(long); err != nil || !got.Any() {
		t.Fatalf("shortly after: %+v, %v", got, err)
	}
	w.after(5*time.Minute+time.Second, "0")
	if got, err = w.look(long); err != nil || got.Any() {
		t.Fatalf("5 min after the last growth: %+v, %v", got, err)
	}
}

// TestGrowthOfUnknownTimeIsNotNow: nobody looked for an hour, and it grew meanwhile.
func TestGrowthOfUnknownTimeIsNotNow(t *testing.T) {
	t.Parallel()
	w := watching(t)
	_, _ = w.look(long)
	w.after(time.Hour, "5000")
	var wait *issue.Wait
	if got, err := w.look(long); got.Any() || !errors.As(err, &wait) || wait.Again != 5*time.Minute {
		t.Fatalf("%+v, %v; want to begin anew", got, err)
	}
}

func TestBusyCounterShowsAtOnce(t *testing.T) {
	t.Parallel()
	n := 0
	e := export(t, func() string { n += 10; return page(fmt.Sprint(n))() })
	clock := now
	l := looker(t, func() time.Time { clock = clock.Add(10 * time.Second); return clock })
	got, err := l.Look(t.Context(), []secret.UsageSource{{Metric: e.URL, Series: previousSeries}}, long)
	if err != nil || got.PerMinute != 60 {
		t.Errorf("10 in 10 s: %+v, %v", got, err)
	}
}

func TestMetricThatCannotBeRead(t *testing.T) {
	t.Parallel()
	look := func(where, series string) error {
		got, err := looker(t, atNow).Look(t.Context(), []secret.UsageSource{{Metric: where, Series: series}}, long)
		if got.Any() {
			t.Errorf("%s: %+v", series, got)
		}
		return err
	}
	e := export(t, page("12"))
	closed := httptest.NewServer(nil)
	closed.Close()
	sick := export(t, page("12"))
	sick.status = http.StatusServiceUnavailable
	moved := httptest.NewServer(http.RedirectHandler(e.URL, http.StatusFound))
	t.Cleanup(moved.Close)
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "signatures")
	}))
	t.Cleanup(cut.Close)
	for name, c := range map[string]struct{ where, series, want string }{
		"absent":       {e.URL, `signatures_verified_total{version="older",path="/api/"}`, "has no series"},
		"fewer labels": {e.URL, `signatures_verified_total{version="previous"}`, "has no series"},
		"no labels":    {e.URL, "signatures_verified_total", "has no series"},
		"closed":       {closed.URL, previousSeries, "could not be asked"},
		"sick":         {sick.URL, previousSeries, "answered 503"},
		"moved":        {moved.URL, previousSeries, "answered 302"},
		"cut":          {cut.URL, previousSeries, "could not be read to their end"},
		"not a series": {e.URL, `signatures{version=previous}`, "cannot be used"},
		"unclosed":     {e.URL, `signatures{version="previous`, "cannot be used"},
		"rest":         {e.URL, `signatures{version="previous"} 5`, "cannot be used"},
		"nothing":      {e.URL, "", "cannot be used"},
		"no address":   {"://user:hunter2@", previousSeries, "cannot be used"},
		"not a number": {export(t, page("NaN")).URL, previousSeries, "could not be read"},
		"negative":     {export(t, page("-1")).URL, previousSeries, "could not be read"},
		"password":     {strings.Replace(closed.URL, "http://", "http://user:hunter2@", 1), previousSeries, "could not be asked"},
	} {
		var wait *issue.Wait
		if err := look(c.where, c.series); err == nil || errors.As(err, &wait) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want an error that says %q", name, err, c.want)
		}
	}
	for _, series := range []string{"signatures_verified", " signatures_verified{} ", `signatures_verified_total{path="/a\"pi\\/\n}",version="previous"}`} {
		var wait *issue.Wait
		if err := look(e.URL, series); !errors.As(err, &wait) {
			t.Errorf("%s: %v, want it found", series, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := looker(t, atNow).Look(ctx, []secret.UsageSource{{Metric: e.URL, Series: previousSeries}}, long); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// TestSomebodySeenNeedsNoPatience: a source that was not watched for long does not hide
// what another one shows.
func TestSomebodySeenNeedsNoPatience(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.log")
	write(t, path, ago(time.Second), iso(ago(time.Minute))+" verified_with=previous from 10.0.0.7")
	sources := append(source(path), secret.UsageSource{Metric: export(t, page("12")).URL, Series: previousSeries})
	if got, err := looker(t, atNow).Look(t.Context(), sources, long); err != nil || len(got.Users) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
