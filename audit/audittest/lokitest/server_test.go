package lokitest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey/audit/audittest/lokitest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// ask makes one range query of the hour after noon; values replace the parameters of a good one.
func ask(t *testing.T, s *lokitest.Server, change func(url.Values, http.Header)) (int, string) {
	t.Helper()
	form := url.Values{
		"query": {`{app="web"}`}, "limit": {"10"}, "direction": {"forward"},
		"start": {strconv.FormatInt(noon.UnixNano(), 10)}, "end": {strconv.FormatInt(noon.Add(time.Hour).UnixNano(), 10)},
	}
	header := http.Header{"X-Scope-Orgid": {"leather"}, "Authorization": {"Bearer good"}}
	if change != nil {
		change(form, header)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/loki/api/v1/query_range?"+form.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func set(name, value string) func(url.Values, http.Header) {
	return func(form url.Values, _ http.Header) { form.Set(name, value) }
}

func TestRules(t *testing.T) {
	t.Parallel()
	s, err := lokitest.Start(lokitest.Config{Tenant: "leather", Token: "good", MaxEntries: 50, MaxLength: 2 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for n := range 20 {
		s.Push(map[string]string{"app": "web", "pod": fmt.Sprint(n % 2)}, lokitest.Entry{At: noon.Add(time.Duration(n) * time.Second), Line: fmt.Sprintf("line %d `q`", n)})
	}
	s.Push(map[string]string{"app": "web", "pod": "0"}, lokitest.Entry{At: noon, Line: "line 0 `q`"}) // the same again
	nanos := strconv.FormatInt(noon.Add(time.Second).UnixNano(), 10)
	for i, tc := range []struct {
		change func(url.Values, http.Header)
		status int
		says   string
		lines  int
	}{
		{nil, 200, `"line 0 ` + "`q`", 10},
		{set("limit", "50"), 200, `"totalLinesProcessed":20`, 20},
		{set("direction", "backward"), 200, "line 19", 10},
		{set("end", nanos), 200, "line 0", 1}, // the end is not in it
		{set("start", nanos), 200, "line 1 ", 10},
		{set("query", `{app="web",pod!="1"}`), 200, "line 18", 10},
		{set("query", `{app=~"w.b"} |= "line 1" != "5"`), 200, "line 19", 10},
		{set("query", "{app=~`w.b`} |~ `^line [0-9] .q.$` !~ \"[12]\""), 200, "line 3", 8},
		{set("query", `{app=~"w"}`), 200, `"result":[]`, 0},
		{set("query", `{app="web"} | json`), 400, "parse error", 0},
		{set("query", `{app="web"} |= 'x'`), 400, "parse error", 0},
		{set("query", `{app="web"} |~ "("`), 400, "parse error", 0},
		{set("query", `{app="web"`), 400, "parse error", 0},
		{set("query", `{app!="web"}`), 400, "at least one regexp or equality matcher", 0},
		{set("limit", "51"), 400, "max entries limit per query exceeded, limit > max_entries_limit_per_query (51 > 50)", 0},
		{set("start", strconv.FormatInt(noon.Add(-2*time.Hour).UnixNano(), 10)), 400, "the query time range exceeds the limit (query length: 3h0m0s, limit: 2h0m0s)", 0},
		{set("end", "1"), 400, "end timestamp must not be before", 0},
		{func(_ url.Values, h http.Header) { h.Set("Authorization", "Bearer bad") }, 401, "invalid credentials", 0},
		{func(_ url.Values, h http.Header) { h.Del("X-Scope-OrgID") }, 401, "no org id", 0},
		{func(_ url.Values, h http.Header) { h.Set("X-Scope-OrgID", "other") }, 200, `"result":[]`, 0},
	} {
		status, body := ask(t, s, tc.change)
		if status != tc.status || !strings.Contains(body, tc.says) || strings.Count(body, `["`) != tc.lines {
			t.Errorf("%d: %d with %d lines, want %d, %q and %d: %.300s", i, status, strings.Count(body, `["`), tc.status, tc.says, tc.lines, body)
		}
	}
	s.Limit(1, 2*time.Second)
	if status, _ := ask(t, s, nil); status != http.StatusTooManyRequests {
		t.Errorf("limited: %d", status)
	}
}
