package loki

import (
	"strings"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/audittest"
	"rekey/audit/audittest/lokitest"
	"rekey/audit/logs"
	"rekey/audit/logs/sourcetest"
)

func line(at time.Time, path string) lokitest.Entry {
	return lokitest.Entry{At: at, Line: sourcetest.Accepted(at, path)}
}

// TestSample: what a log of JSON holds is told by its newest lines, under whatever limits.
func TestSample(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  lokitest.Config
		want int64 // lines
	}{
		"as it is":           {lokitest.Config{}, logs.SampleLines},
		"small pages":        {lokitest.Config{MaxEntries: 50}, 50},
		"a range of minutes": {lokitest.Config{MaxLength: 10 * time.Minute}, logs.SampleLines},
		"few bytes":          {lokitest.Config{MaxBytes: 4000}, logs.SampleLines},
		"a lookback":         {lokitest.Config{Lookback: 3 * time.Hour, MaxLength: 20 * time.Minute}, 180},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, tc.cfg)
			for n := range 300 {
				s.Push(map[string]string{"app": "leather-api"}, line(window.Until.Add(-time.Duration(n)*time.Minute), "/other"))
			}
			s.Push(map[string]string{"app": "leather-api"}, lokitest.Entry{At: noon.Add(time.Minute + 1), Line: "Traceback"})
			source := open(t, s, func(c *Config) { c.Format = logs.JSON })
			_, stats, err := sourcetest.Scan(t, source, query)
			if err != nil || len(stats.Gaps) > 0 || stats.Matched != 0 {
				t.Errorf("%+v, %v", stats, err)
			}
			if stats.Sampled < tc.want || stats.Sampled > logs.SampleLines || stats.Messages != 0 || stats.Sampled-stats.Requests > 1 {
				t.Errorf("%d lines with %d requests and %d messages", stats.Sampled, stats.Requests, stats.Messages)
			}
			list := s.Requests()
			if last := list[len(list)-1]; last.Query != selector || last.Direction != "backward" || last.Limit > logs.SampleLines {
				t.Errorf("asked %+v", last)
			}
			asked := len(list)
			if _, stats, err = sourcetest.Scan(t, open(t, s, nil), query); err != nil || stats.Sampled != 0 {
				t.Errorf("an access log: %+v, %v", stats, err)
			}
			for _, r := range s.Requests()[asked:] {
				if r.Limit == logs.SampleLines {
					t.Errorf("an access log needs no sample: %+v", r)
				}
			}
		})
	}
}

// TestSampleBeforeTheWindow: an access log that rests is one all the same.
func TestSampleBeforeTheWindow(t *testing.T) {
	t.Parallel()
	s := start(t, lokitest.Config{})
	s.Push(map[string]string{"app": "leather-api"}, line(noon.AddDate(0, 0, -3), "/other"))
	if _, stats, err := sourcetest.Scan(t, open(t, s, func(c *Config) { c.Format = logs.Auto }), query); err != nil || stats.Sampled != 1 || stats.Requests != 1 || len(stats.Gaps) > 0 {
		t.Errorf("%+v, %v", stats, err)
	}
}

// TestSampleFails: that is said, and what the evidence itself shows stands.
func TestSampleFails(t *testing.T) {
	t.Parallel()
	s := start(t, lokitest.Config{})
	s.Push(map[string]string{"app": "leather-api"}, line(noon.Add(time.Minute), "/api/revalidate/"))
	stats, err := open(t, s, func(c *Config) { c.Format = logs.JSON }).Scan(t.Context(), query, func(logs.Record) error {
		s.Behave(audittest.Revoked)
		return nil
	})
	if err != nil || stats.Sampled != 0 || stats.Requests != 1 || len(stats.Gaps) != 1 || stats.Gaps[0].Left != audit.Partial || !strings.Contains(stats.Gaps[0].Why, "not known, as its newest lines could not be looked at: Loki wants to know who asks") {
		t.Errorf("%+v, %v", stats, err)
	}
}
