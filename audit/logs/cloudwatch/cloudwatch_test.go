package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/google/go-cmp/cmp"

	"rekey/audit"
	"rekey/audit/audittest/cloudwatchtest"
	"rekey/audit/logs"
	"rekey/audit/logs/sourcetest"
)

const group = "/leather/api"

var (
	noon   = sourcetest.Noon()
	query  = sourcetest.Query()
	window = query.Window
)

func start(t *testing.T, cfg cloudwatchtest.Config) *cloudwatchtest.Server {
	t.Helper()
	cfg.Now = func() time.Time { return window.Until }
	s := cloudwatchtest.New(cfg)
	t.Cleanup(s.Close)
	s.AddGroup(group+"/more", cloudwatchtest.Group{Created: noon})
	s.AddGroup(group, cloudwatchtest.Group{Created: noon.AddDate(0, -1, 0)})
	s.AddGroup("/other", cloudwatchtest.Group{Created: noon})
	return s
}

const secretKey = "wJalrXUtnFEMI"

// settings are as a default chain finds them.
func settings(region string) aws.Config {
	return aws.Config{
		Region: region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE00000000", SecretAccessKey: secretKey}, nil
		}),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 10 * time.Millisecond })
		},
	}
}

func open(t *testing.T, s *cloudwatchtest.Server, change func(*Config)) *Source {
	t.Helper()
	cfg := Config{
		Group: group, Format: logs.Access, AWS: settings(s.Region()), Endpoint: s.URL,
		Poll: time.Millisecond, Now: func() time.Time { return window.Until },
	}
	if change != nil {
		change(&cfg)
	}
	source, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// TestSameAsTheParser: what Insights leaves out is never evidence, and what lies behind a
// full answer is fetched, once.
func TestSameAsTheParser(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{10_000, 7, 3} {
		for _, format := range []logs.Format{logs.Access, logs.Django, logs.Security} {
			t.Run(fmt.Sprintf("%s by %d", format, rows), func(t *testing.T) {
				t.Parallel()
				s := start(t, cloudwatchtest.Config{MaxRows: rows})
				lines := sourcetest.Text(sourcetest.Corpus(t, format))
				at := func(n int) time.Time { return noon.Add(35*time.Minute + time.Duration(n)*700*time.Millisecond) }
				for n, line := range lines {
					s.Put(group, fmt.Sprint("web-", n%2), cloudwatchtest.Event{At: at(n), Message: string(line)})
				}
				source := open(t, s, func(c *Config) { c.Format, c.Rows = format, rows })
				got, stats, err := sourcetest.Scan(t, source, query)
				if err != nil {
					t.Fatal(err)
				}
				if format == logs.Access && rows == maxRows {
					sourcetest.Newest(t, source)
				}
				sourcetest.Same(t, sourcetest.Judged(t, format, lines, at), got, "CloudWatch "+group+" at web-")
				if !stats.Begins.Equal(noon.AddDate(0, -1, 0)) || stats.Ends.Before(window.Until) {
					t.Errorf("it begins %s and ends %s", stats.Begins, stats.Ends)
				}
				if stats.Matched >= int64(len(lines)) || stats.Read == 0 || len(stats.Gaps) > 0 {
					t.Errorf("%+v", stats)
				}
				t.Logf("%d queries, %d bytes scanned", len(s.Queries()), stats.Read)
			})
		}
	}
}

// TestFlood: many lines in few seconds, up to more in one second than an answer holds.
func TestFlood(t *testing.T) {
	t.Parallel()
	s := start(t, cloudwatchtest.Config{MaxRows: 20})
	for n := range 300 {
		s.Put(group, "web", cloudwatchtest.Event{At: noon.Add(35*time.Minute + time.Duration(n)*60*time.Millisecond), Message: fmt.Sprintf(sourcetest.Denied, n)})
	}
	small := func(c *Config) { c.Rows = 20 }
	got, stats, err := sourcetest.Scan(t, open(t, s, small), query)
	if err != nil || len(got) != 300 || len(stats.Gaps) > 0 {
		t.Errorf("%d of 300 records, %+v, %v", len(got), stats.Gaps, err)
	}
	for n := range 50 {
		s.Put(group, "web", cloudwatchtest.Event{At: noon.Add(40 * time.Minute), Message: fmt.Sprintf(sourcetest.Denied, 1000+n)})
	}
	got, stats, err = sourcetest.Scan(t, open(t, s, small), query)
	if err != nil || len(got) != 320 || len(stats.Gaps) != 1 || !strings.Contains(stats.Gaps[0].Why, "more than 20 lines") || stats.Gaps[0].Left != audit.Partial {
		t.Errorf("%d records, %+v, %v", len(got), stats.Gaps, err)
	}
}

func TestBeginningIsHonest(t *testing.T) {
	t.Parallel()
	s := start(t, cloudwatchtest.Config{})
	s.AddGroup("/kept", cloudwatchtest.Group{Created: noon.AddDate(-1, 0, 0), RetentionDays: 1})
	s.Put("/kept", "web", cloudwatchtest.Event{At: noon, Message: "x"})
	kept := func(c *Config) { c.Group = "/kept" }
	long := query
	long.Window.Since = noon.AddDate(0, 0, -3)
	if _, stats, err := sourcetest.Scan(t, open(t, s, kept), long); err != nil || !stats.Cut || !stats.Begins.Equal(window.Until.AddDate(0, 0, -1)) {
		t.Errorf("it keeps a day, and begins %s, %v", stats.Begins, err)
	}
	gone := query
	gone.Window = audit.Window{Since: noon.AddDate(0, 0, -3), Until: noon.AddDate(0, 0, -2)}
	if _, stats, err := sourcetest.Scan(t, open(t, s, kept), gone); err == nil || !strings.Contains(err.Error(), "since 2026-11-21 20:00:00 UTC only") || !stats.Begins.IsZero() {
		t.Errorf("a window that is no longer kept: %+v, %v", stats, err)
	}
	if _, stats, err := sourcetest.Scan(t, open(t, s, nil), query); err == nil || !strings.Contains(err.Error(), "received no line") || stats.Begins.IsZero() {
		t.Errorf("nothing for an hour: %+v, %v", stats, err)
	}
	minute := query
	minute.Window.Since = window.Until.Add(-time.Minute)
	if _, stats, err := sourcetest.Scan(t, open(t, s, nil), minute); err != nil || stats.Begins.IsZero() || !stats.Ends.Before(minute.Window.Since) {
		t.Errorf("nothing for a minute: %+v, %v", stats, err)
	}
}

// TestWaits: full quotas and throttling are waited out.
func TestWaits(t *testing.T) {
	t.Parallel()
	s := start(t, cloudwatchtest.Config{Concurrent: 3})
	s.Put(group, "web", cloudwatchtest.Event{At: noon.Add(35 * time.Minute), Message: fmt.Sprintf(sourcetest.Denied, 0)})
	s.Occupy(3)
	s.Throttle("GetQueryResults", 7)
	s.Throttle("StartQuery", 7)
	time.AfterFunc(50*time.Millisecond, func() { s.Occupy(0) })
	if got, _, err := sourcetest.Scan(t, open(t, s, nil), query); err != nil || len(got) != 1 {
		t.Errorf("%d records, %v", len(got), err)
	}
}

// TestFaults: whatever goes wrong is one sentence that says what to do, without a key.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		server func(*cloudwatchtest.Server)
		config func(*Config)
		says   string
		is     error
	}{
		"no such group":       {nil, func(c *Config) { c.Group = "/leather" }, "no log group /leather in this account and region (eu-central-1)", nil},
		"another region":      {nil, func(c *Config) { c.AWS.Region = "us-east-1" }, "the region", nil},
		"no permission":       {func(s *cloudwatchtest.Server) { s.Deny("StartQuery") }, nil, "allow logs:StartQuery", nil},
		"no results":          {func(s *cloudwatchtest.Server) { s.Deny("GetQueryResults") }, nil, "logs:GetQueryResults", nil},
		"it failed":           {func(s *cloudwatchtest.Server) { s.End("Failed") }, nil, "failed in CloudWatch", nil},
		"it took too long":    {func(s *cloudwatchtest.Server) { s.End("Timeout") }, nil, "longer than CloudWatch allows", nil},
		"somebody stopped it": {func(s *cloudwatchtest.Server) { s.End("Cancelled") }, nil, "Somebody stopped", nil},
		"slow":                {func(s *cloudwatchtest.Server) { s.Hold() }, nil, "did not answer in time", context.DeadlineExceeded},
		"always busy":         {func(s *cloudwatchtest.Server) { s.Occupy(1000) }, nil, "As many queries", nil},
		"nobody there":        {nil, func(c *Config) { c.Endpoint = "http://127.0.0.1:1" }, "could not be reached", nil},
		"no credentials": {nil, func(c *Config) {
			c.AWS.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{}, errors.New("no EC2 IMDS role found")
			})
		}, "No AWS credentials", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, cloudwatchtest.Config{})
			s.Put(group, "web", cloudwatchtest.Event{At: noon.Add(35 * time.Minute), Message: fmt.Sprintf(sourcetest.Denied, 0)})
			if tc.server != nil {
				tc.server(s)
			}
			_, stats, err := sourcetest.Scan(t, open(t, s, func(c *Config) {
				c.Timeout = time.Second
				if tc.config != nil {
					tc.config(c)
				}
			}), query)
			var fault *logs.Fault
			if !errors.As(err, &fault) || !strings.Contains(fault.Why, tc.says) || strings.Contains(fmt.Sprintf("%v %+v", err, errors.Unwrap(err)), secretKey) {
				t.Errorf("want %q: %v", tc.says, err)
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%v is not %v", err, tc.is)
			}
			if !stats.Begins.IsZero() {
				t.Errorf("it begins at %s, though nothing was read", stats.Begins)
			}
			for _, q := range s.Queries() {
				if q.Status == "Scheduled" || q.Status == "Running" {
					t.Errorf("query %s is left %s", q.ID, q.Status)
				}
			}
		})
	}
}

// TestUnknownBeginning: where AWS does not tell how long lines are kept, that is a gap.
func TestUnknownBeginning(t *testing.T) {
	t.Parallel()
	s := start(t, cloudwatchtest.Config{})
	s.Deny("DescribeLogGroups")
	s.Put(group, "web", cloudwatchtest.Event{At: noon.Add(35 * time.Minute), Message: fmt.Sprintf(sourcetest.Denied, 0)})
	got, stats, err := sourcetest.Scan(t, open(t, s, nil), query)
	if err != nil || len(got) != 1 || len(stats.Gaps) != 1 || stats.Gaps[0].Left != audit.Partial || !strings.Contains(stats.Gaps[0].Why, "allow logs:DescribeLogGroups") {
		t.Errorf("%d records, %+v, %v", len(got), stats.Gaps, err)
	}
}

// TestStopped: a query nobody waits for is stopped, and the caller's error comes back.
func TestStopped(t *testing.T) {
	t.Parallel()
	s := start(t, cloudwatchtest.Config{})
	s.Put(group, "web", cloudwatchtest.Event{At: noon.Add(35 * time.Minute), Message: fmt.Sprintf(sourcetest.Denied, 0)})
	sourcetest.HandsBack(t, open(t, s, nil))
	s.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	_, err := open(t, s, nil).Scan(ctx, query, func(logs.Record) error { return nil })
	if queries := s.Queries(); !errors.Is(err, context.Canceled) || queries[len(queries)-1].Status != "Cancelled" {
		t.Errorf("%v, and the query is %s", err, queries[len(queries)-1].Status)
	}
}

// FuzzQueryText: the filter that Insights reads is the one that was meant, whatever the
// guarded path is.
func FuzzQueryText(f *testing.F) {
	for _, path := range []string{"/api/revalidate/", "/a/\\/b|c", "", "/a'b\"c`d", "/\n| limit 1", "/é"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		for _, format := range []logs.Format{logs.Access, logs.Django, logs.Security} {
			q := logs.Query{Endpoints: []logs.Endpoint{{Path: path}}}
			got, err := cloudwatchtest.Filters(queryText(format, q, "asc", maxRows))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(logs.Prefilter(format, q), got); diff != "" {
				t.Errorf("%q changed the filters: %s", path, diff)
			}
		}
	})
}

func TestNewChecks(t *testing.T) {
	t.Parallel()
	for says, cfg := range map[string]Config{
		"log group":      {Group: "a group", Format: logs.Access},
		"unknown format": {Group: group, Format: "x"},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}
