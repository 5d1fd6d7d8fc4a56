package loki

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/audittest"
	"rekey/audit/audittest/lokitest"
	"rekey/audit/audittest/porttest"
	"rekey/audit/logs"
	"rekey/audit/logs/sourcetest"
)

const selector = `{app="leather-api"}`

var (
	noon   = sourcetest.Noon()
	query  = sourcetest.Query()
	window = query.Window
)

func start(t *testing.T, cfg lokitest.Config) *lokitest.Server {
	t.Helper()
	cfg.Now = func() time.Time { return window.Until }
	s, err := lokitest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func open(t *testing.T, s *lokitest.Server, change func(*Config)) *Source {
	t.Helper()
	cfg := Config{URL: s.URL(), Selector: selector, Format: logs.Access, Now: func() time.Time { return window.Until }}
	if change != nil {
		change(&cfg)
	}
	source, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// TestSameAsTheParser: what Loki leaves out is never evidence, whatever its limits make of
// the question.
func TestSameAsTheParser(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]lokitest.Config{
		"as it is":                    {},
		"small pages":                 {MaxEntries: 3},
		"pages of two":                {MaxEntries: 2},
		"a range of minutes":          {MaxLength: 7 * time.Minute},
		"few bytes":                   {MaxBytes: 3000},
		"all of them, and a lookback": {MaxEntries: 2, MaxLength: 20 * time.Minute, MaxBytes: 5000, Lookback: 3 * time.Hour},
	} {
		for _, format := range []logs.Format{logs.Access, logs.Django, logs.Security} {
			t.Run(name+", "+string(format), func(t *testing.T) {
				t.Parallel()
				s := start(t, cfg)
				lines := sourcetest.Text(sourcetest.Corpus(t, format))
				// The corpus is of 19:35; Loki received it then, in two streams, and before
				// and after it something else.
				at := func(n int) time.Time { return noon.Add(35*time.Minute + time.Duration(n)*time.Second) }
				for n, line := range lines {
					s.Push(map[string]string{"app": "leather-api", "pod": fmt.Sprint(n % 2)}, lokitest.Entry{At: at(n), Line: string(line)})
					s.Push(map[string]string{"app": "other"}, lokitest.Entry{At: at(n), Line: string(line)})
				}
				s.Push(map[string]string{"app": "leather-api", "pod": "0"}, lokitest.Entry{At: noon.Add(-2 * time.Hour), Line: "before"}, lokitest.Entry{At: noon.Add(50 * time.Minute), Line: "after"})
				source := open(t, s, func(c *Config) { c.Format = format })
				got, stats, err := sourcetest.Scan(t, source, query)
				if err != nil {
					t.Fatal(err)
				}
				if format == logs.Access && cfg.MaxEntries == 0 { // of a page, no more can be had
					sourcetest.Newest(t, source)
				}
				want := sourcetest.Judged(t, format, lines, at)
				sourcetest.Same(t, want, got, "Loki "+selector+" at 2026-11-22T19:35:")
				if !stats.Begins.Equal(noon.Add(-2*time.Hour)) || !stats.Ends.Equal(noon.Add(50*time.Minute)) {
					t.Errorf("it begins %s and ends %s", stats.Begins, stats.Ends)
				}
				if stats.Matched >= int64(len(lines)) || stats.Matched < int64(len(want)) || stats.Read == 0 || len(stats.Gaps) > 0 {
					t.Errorf("%d lines came for %d records: %+v", stats.Matched, len(want), stats)
				}
			})
		}
	}
}

// TestEqualTimes: pages end in the middle of lines that share a time.
func TestEqualTimes(t *testing.T) {
	t.Parallel()
	s := start(t, lokitest.Config{MaxEntries: 5})
	at := noon.Add(35 * time.Minute)
	for n := range 40 {
		s.Push(map[string]string{"app": "leather-api", "pod": fmt.Sprint(n % 3)}, lokitest.Entry{At: at.Add(time.Duration(n / 4)), Line: fmt.Sprintf(sourcetest.Denied, n)})
	}
	got, stats, err := sourcetest.Scan(t, open(t, s, nil), query)
	if err != nil || len(got) != 40 || len(stats.Gaps) > 0 {
		t.Errorf("%d of 40 records, %+v, %v", len(got), stats.Gaps, err)
	}
	// More than a page at one time cannot be fetched, and that is said.
	for n := range 20 {
		s.Push(map[string]string{"app": "leather-api", "pod": "x"}, lokitest.Entry{At: at.Add(5), Line: fmt.Sprintf(sourcetest.Denied, 100+n)})
	}
	got, stats, err = sourcetest.Scan(t, open(t, s, nil), query)
	if err != nil || len(got) <= 40 || len(stats.Gaps) != 1 || !strings.Contains(stats.Gaps[0].Why, "max_entries_limit_per_query") {
		t.Errorf("%d records, %+v, %v", len(got), stats.Gaps, err)
	}
}

func TestBeginningIsHonest(t *testing.T) {
	t.Parallel()
	s := start(t, lokitest.Config{})
	s.Push(map[string]string{"app": "leather-api"}, lokitest.Entry{At: noon.Add(20 * time.Minute), Line: "first"}, lokitest.Entry{At: noon.Add(30 * time.Minute), Line: "last"})
	_, stats, err := sourcetest.Scan(t, open(t, s, nil), query)
	if err != nil || !stats.Begins.Equal(noon.Add(20*time.Minute)) || !stats.Ends.Equal(noon.Add(30*time.Minute)) {
		t.Errorf("from %s to %s, %v", stats.Begins, stats.Ends, err)
	}
	quiet := query
	quiet.Window = audit.Window{Since: noon.Add(40 * time.Minute), Until: noon.Add(45 * time.Minute)}
	_, stats, err = sourcetest.Scan(t, open(t, s, nil), quiet)
	if err != nil || !stats.Begins.Equal(noon.Add(30*time.Minute)) || !stats.Ends.Equal(stats.Begins) {
		t.Errorf("a quiet window: from %s to %s, %v", stats.Begins, stats.Ends, err)
	}
}

// TestFaults: whatever goes wrong is one sentence that says what to do, without the token.
func TestFaults(t *testing.T) {
	t.Parallel()
	const token = "glc_0123456789abcdef"
	good := func(c *Config) {
		c.Tenant, c.Token = "leather", func() (string, error) { return token, nil }
	}
	for name, tc := range map[string]struct {
		server func(*lokitest.Server)
		config func(*Config)
		says   string
		is     error
	}{
		"all well":         {nil, good, "", nil},
		"rate limited":     {func(s *lokitest.Server) { s.Limit(2, 0) }, good, "", nil},
		"limited for long": {func(s *lokitest.Server) { s.Limit(9, time.Minute) }, good, "limiting the rate (429)", nil},
		"down":             {func(s *lokitest.Server) { s.Behave(audittest.Down) }, good, "is failing (503)", nil},
		"slow":             {func(s *lokitest.Server) { s.Behave(audittest.Slow) }, good, "did not answer in time", context.DeadlineExceeded},
		"a proxy's page":   {func(s *lokitest.Server) { s.Behave(audittest.Garbage) }, good, "not Loki's API", nil},
		"no token":         {nil, func(c *Config) { c.Tenant = "leather" }, "add a token", nil},
		"another token": {nil, func(c *Config) {
			good(c)
			c.Token = func() (string, error) { return "glc_bad", nil }
		}, "refused the token (401)", nil},
		"a token that is not there": {nil, func(c *Config) {
			c.Token = func() (string, error) { return "", errors.New(token) }
		}, "token for Loki could not be read", nil},
		"no tenant":        {nil, func(c *Config) { good(c); c.Tenant = "" }, "add tenant", nil},
		"another tenant":   {nil, func(c *Config) { good(c); c.Tenant = "x" }, "no line of " + selector, nil},
		"another selector": {nil, func(c *Config) { good(c); c.Selector = `{app="x"}` }, `no line of {app="x"}`, nil},
		"another path":     {nil, func(c *Config) { good(c); c.URL += "/prefix" }, "without /loki/api", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, lokitest.Config{Tenant: "leather", Token: token})
			s.Push(map[string]string{"app": "leather-api"}, lokitest.Entry{At: noon.Add(35 * time.Minute), Line: fmt.Sprintf(sourcetest.Denied, 0)})
			if tc.server != nil {
				tc.server(s)
			}
			got, stats, err := sourcetest.Scan(t, open(t, s, func(c *Config) {
				tc.config(c)
				c.Timeout = 3 * time.Second
			}), query)
			var fault *logs.Fault
			switch {
			case tc.says == "" && (err != nil || len(got) != 1):
				t.Errorf("%d records, %v", len(got), err)
			case tc.says == "":
			case !errors.As(err, &fault) || !strings.Contains(fault.Why, tc.says) || strings.Contains(fmt.Sprintf("%v %+v", err, errors.Unwrap(err)), token):
				t.Errorf("want %q: %v", tc.says, err)
			case tc.is != nil && !errors.Is(err, tc.is):
				t.Errorf("%v is not %v", err, tc.is)
			case !stats.Begins.IsZero():
				t.Errorf("it begins at %s, though nothing was read", stats.Begins)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	source, err := New(Config{URL: "http://" + porttest.Closed(t), Selector: selector, Format: logs.Access})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := sourcetest.Scan(t, source, query); err == nil || !strings.Contains(err.Error(), "could not be reached") {
		t.Errorf("nobody there: %v", err)
	}
}

// TestStopped: the caller's error comes back as it is.
func TestStopped(t *testing.T) {
	t.Parallel()
	s := start(t, lokitest.Config{User: "42", Token: "good"})
	s.Push(map[string]string{"app": "leather-api"}, lokitest.Entry{At: noon.Add(35 * time.Minute), Line: fmt.Sprintf(sourcetest.Denied, 0)})
	source := open(t, s, func(c *Config) { c.User, c.Token = "42", func() (string, error) { return "good", nil } })
	sourcetest.HandsBack(t, source)
}

func TestNewChecks(t *testing.T) {
	t.Parallel()
	good := Config{URL: "https://loki.example.com", Selector: selector, Format: logs.Access}
	for says, change := range map[string]func(*Config){
		"the URL":        func(c *Config) { c.URL = "loki" },
		"without a user": func(c *Config) { c.URL = "https://a:b@loki" },
		"the selector":   func(c *Config) { c.Selector = "app" },
		"unknown format": func(c *Config) { c.Format = "x" },
	} {
		cfg := good
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}
