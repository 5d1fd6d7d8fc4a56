package cloudwatch

import (
	"strings"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/audittest/cloudwatchtest"
	"rekey/audit/logs"
	"rekey/audit/logs/sourcetest"
)

func line(at time.Time, path string) cloudwatchtest.Event {
	return cloudwatchtest.Event{At: at, Message: sourcetest.Accepted(at, path)}
}

// TestSample: what a log of JSON holds is told by its newest lines, and little is scanned
// for that.
func TestSample(t *testing.T) {
	t.Parallel()
	long := query
	long.Window.Since = window.Until.AddDate(0, 0, -2)
	for name, tc := range map[string]struct {
		every          time.Duration
		last           time.Time
		sampled        int64
		queries        int           // for the sample
		most           time.Duration // that they asked for
		least, longest time.Duration
	}{
		"busy":                       {time.Second, window.Until, 200, 1, 15 * time.Minute, 0, 0},
		"now and then":               {3 * time.Minute, window.Until, 0, 2, 15*time.Minute + 2*time.Hour, 20, 60},
		"seldom":                     {time.Hour, window.Until, 0, 4, 7*24*time.Hour + 49*time.Hour, 20, 300},
		"quiet since the morning":    {time.Second, window.Until.Add(-9 * time.Hour), 200, 3, 19 * time.Hour, 0, 0},
		"after the end is no sample": {time.Second, window.Until.Add(time.Hour), 200, 1, 15 * time.Minute, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, cloudwatchtest.Config{})
			var lines []cloudwatchtest.Event
			for at := tc.last; len(lines) < 5000 && at.After(noon.AddDate(0, 0, -20)); at = at.Add(-tc.every) {
				lines = append(lines, line(at, "/other"))
			}
			s.Put(group, "web", lines...)
			_, stats, err := sourcetest.Scan(t, open(t, s, func(c *Config) { c.Format = logs.JSON }), long)
			if err != nil || len(stats.Gaps) > 0 || stats.Messages != 0 || stats.Requests != stats.Sampled {
				t.Errorf("%+v, %v", stats, err)
			}
			if tc.sampled > 0 && stats.Sampled != tc.sampled || tc.sampled == 0 && (stats.Sampled < int64(tc.least) || stats.Sampled > int64(tc.longest)) {
				t.Errorf("%d lines", stats.Sampled)
			}
			list := s.Queries()[1:]
			var asked time.Duration
			for _, q := range list {
				asked += q.End.Sub(q.Start)
				if strings.Contains(q.Text, "filter") || !strings.HasSuffix(q.Text, " | sort @timestamp desc | limit 200") {
					t.Errorf("asked %s", q.Text)
				}
			}
			if len(list) != tc.queries || asked > tc.most {
				t.Errorf("%d queries for %s, want %d for %s", len(list), asked, tc.queries, tc.most)
			}
			if _, stats, err = sourcetest.Scan(t, open(t, s, nil), long); err != nil || stats.Sampled != 0 || len(s.Queries()) != tc.queries+2 {
				t.Errorf("an access log needs no sample: %+v, %v", stats, err)
			}
		})
	}
}

// TestSampleOfNothing: a group that holds no line as far as it was looked for may hold
// requests or not.
func TestSampleOfNothing(t *testing.T) {
	t.Parallel()
	s := start(t, cloudwatchtest.Config{})
	s.AddGroup("/new", cloudwatchtest.Group{Created: window.Until.Add(-20*time.Minute - time.Millisecond)})
	minute := query
	minute.Window.Since = window.Until.Add(-time.Minute)
	_, stats, err := sourcetest.Scan(t, open(t, s, func(c *Config) { c.Group, c.Format = "/new", logs.JSON }), minute)
	if err != nil || len(stats.Gaps) != 1 || stats.Gaps[0].Left != audit.Unseen || !strings.Contains(stats.Gaps[0].Why, "No line of it was found") {
		t.Errorf("%+v, %v", stats, err)
	}
}

// TestSampleFails: that is said, and what the evidence itself shows stands.
func TestSampleFails(t *testing.T) {
	t.Parallel()
	s := start(t, cloudwatchtest.Config{})
	s.Put(group, "web", line(noon.Add(time.Minute), "/api/revalidate/"))
	stats, err := open(t, s, func(c *Config) { c.Format = logs.JSON }).Scan(t.Context(), query, func(logs.Record) error {
		s.Deny("StartQuery")
		return nil
	})
	if err != nil || stats.Sampled != 0 || stats.Requests != 1 || len(stats.Gaps) != 1 || stats.Gaps[0].Left != audit.Partial || !strings.Contains(stats.Gaps[0].Why, "could not be looked at: AWS does not let rekey read") {
		t.Errorf("%+v, %v", stats, err)
	}
}
