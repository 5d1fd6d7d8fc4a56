package journal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/audittest/journaltest"
	"rekey/audit/logs"
	"rekey/audit/logs/sourcetest"
)

// TestSample: what a unit's JSON holds is told by its newest lines before the window's end,
// with the real journalctl.
func TestSample(t *testing.T) {
	t.Parallel()
	var entries []journaltest.Entry
	for n := range 500 {
		at := noon.Add(-8*time.Hour + time.Duration(n)*time.Minute)
		text := sourcetest.Accepted(at, "/other")
		if n < 100 {
			text = "older than the sample"
		}
		entries = append(entries,
			journaltest.Entry{At: at, Unit: unit, Messages: []string{text}},
			journaltest.Entry{At: at, Unit: "other.service", Messages: []string{"something else"}})
	}
	after := window.Until.Add(time.Hour)
	for range 10 {
		entries = append(entries, journaltest.Entry{At: after, Unit: unit, Messages: []string{"after the window"}})
	}
	entries = append(entries, journaltest.Entry{At: after, Unit: "late.service", Messages: []string{sourcetest.Accepted(after, "/other")}})
	dir := written(t, entries...)
	_, stats, err := sourcetest.Scan(t, open(t, func(c *Config) { c.Directory, c.Format = dir, logs.JSON }), query)
	if err != nil || len(stats.Gaps) > 0 || stats.Sampled != logs.SampleLines || stats.Requests != logs.SampleLines || stats.Messages != 0 {
		t.Errorf("%+v, %v", stats, err)
	}
	_, stats, err = sourcetest.Scan(t, open(t, func(c *Config) { c.Directory = dir }), query)
	if err != nil || stats.Sampled != 0 {
		t.Errorf("an access log needs no sample: %+v, %v", stats, err)
	}
	_, stats, err = sourcetest.Scan(t, open(t, func(c *Config) { c.Directory, c.Format, c.Unit = dir, logs.JSON, "late" }), query)
	if err != nil || stats.Sampled != 0 || len(stats.Gaps) != 1 || stats.Gaps[0].Left != audit.Unseen || !strings.Contains(stats.Gaps[0].Why, "No line of it was found up to the end of the window") {
		t.Errorf("all of its lines are later: %+v, %v", stats, err)
	}
}

// TestSampleFails: that is said, and what the evidence itself shows stands.
func TestSampleFails(t *testing.T) {
	t.Parallel()
	program := script(t, fmt.Sprintf(`case "$*" in *--lines=200*) echo "Failed to seek" >&2; exit 1;; esac
echo '{"__CURSOR":"c","__REALTIME_TIMESTAMP":"%d","MESSAGE":%q}'`, noon.Add(time.Minute).UnixMicro(), sourcetest.Accepted(noon.Add(time.Minute), "/api/revalidate/")))
	_, stats, err := sourcetest.Scan(t, open(t, func(c *Config) { c.Program, c.Format = program, logs.JSON }), query)
	if err != nil || stats.Sampled != 0 || stats.Requests != 1 || len(stats.Gaps) != 1 || stats.Gaps[0].Left != audit.Partial || !strings.Contains(stats.Gaps[0].Why, "could not be looked at: journalctl failed: Failed to seek") {
		t.Errorf("%+v, %v", stats, err)
	}
}
