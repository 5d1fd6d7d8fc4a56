package inspect_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/audittest/cloudwatchtest"
	"rekey/audit/audittest/journaltest"
	"rekey/audit/audittest/lokitest"
	"rekey/commands/secret"
)

// TestADeadlineElsewhere: what there was no time to read on a server is not known; who is at
// it at the end of the window is.
//
//nolint:paralleltest // AWS's client takes its credentials from the environment
func TestADeadlineElsewhere(t *testing.T) {
	loki, cloud := servers(t)
	dir := t.TempDir()

	at := now.Add(-10 * time.Minute)
	line := caddy(at, "203.0.113.66", "-", 401)
	loki.Push(map[string]string{"app": "leather-api"}, lokitest.Entry{At: at, Line: line})
	cloud.AddGroup("/leather/api", cloudwatchtest.Group{Created: now.AddDate(0, 0, -30)})
	cloud.Put("/leather/api", "web-1", cloudwatchtest.Event{At: at, Message: line})
	if err := journaltest.Write(dir, journaltest.Entry{At: at, Unit: "leather-api.service", Messages: []string{line}}); err != nil {
		t.Fatal(err)
	}
	for _, entry := range []secret.Log{
		{Loki: secret.Loki{URL: loki.URL(), Selector: `{app="leather-api"}`}},
		{CloudWatch: secret.CloudWatch{Group: "/leather/api", Region: cloud.Region(), Endpoint: cloud.URL}},
		{Journal: secret.Journal{Unit: "leather-api.service", Directory: dir}},
	} {
		e := newEstate(t)
		entry.Format = secret.LogJSON
		e.cat.Environments[0].Logs = []secret.Log{entry}
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		report := e.audit(ctx, "REVALIDATE_SECRET")
		cancel()
		expect(t, report, audit.CannotTell, "203.0.113.66 was refused")
		expectGap(t, report, entry.Name(), "Its newest entries were still read")
		expectTotals(t, report.Totals, 0, 1, 0)
	}
}

// TestTheNewestAreCountedOnce: a server answers the first pages and then no more; what was
// read of it is not read again with its newest records.
func TestTheNewestAreCountedOnce(t *testing.T) {
	t.Parallel()
	const lines, page, pages = 25, 10, 4 // one tells where the log begins, one how long a page is
	loki, err := lokitest.Start(lokitest.Config{Now: func() time.Time { return now }, MaxEntries: page})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = loki.Close() })
	for n := range lines {
		at := now.Add(time.Duration(n-lines) * time.Minute)
		loki.Push(map[string]string{"app": "leather-api"}, lokitest.Entry{At: at, Line: caddy(at, fmt.Sprintf("203.0.113.%d", n), "-", 401)})
	}
	target, err := url.Parse(loki.URL())
	if err != nil {
		t.Fatal(err)
	}
	var forwards atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("direction") == "forward" && forwards.Add(1) > pages {
			http.Error(w, "too slow", http.StatusGatewayTimeout)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer slow.Close()
	e := newEstate(t)
	e.cat.Environments[0].Logs = []secret.Log{{Loki: secret.Loki{URL: slow.URL, Selector: `{app="leather-api"}`}, Format: secret.LogJSON}}
	report := e.audit(ctx, "REVALIDATE_SECRET")
	expectGap(t, report, e.cat.Environments[0].Logs[0].Name(), "Its newest entries were still read")
	// Two pages from the beginning and one from the end overlap.
	expectTotals(t, report.Totals, 0, lines, 0)
	seen := map[string]bool{}
	for _, a := range report.Addresses {
		if a.Count != 1 || seen[a.Name] {
			t.Errorf("%s was counted %d times", a.Name, a.Count)
		}
		seen[a.Name] = true
	}
}
