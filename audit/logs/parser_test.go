package logs

import (
	"testing"
	"time"

	"rekey/audit"
)

func TestParserJudgesSingleLines(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	q := Query{Window: audit.Window{Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}}
	for _, tc := range []struct {
		name   string
		format Format
		line   string
		at     time.Time
		want   bool
	}{
		{"a refused signature in the window", Security, "WARNING 2026-11-22 12:00:00,123 views_seo Invalid signature from 203.0.113.66\r\n", time.Time{}, true},
		{"one before it", Security, "WARNING 2026-11-22 10:00:00,123 views_seo Invalid signature from 203.0.113.66", noon, false},
		{"one that only its source dates", Django, "Unauthorized: /api/revalidate/", noon, true},
		{"one that nothing dates", Django, "Unauthorized: /api/revalidate/", time.Time{}, false},
		{"no evidence", Access, `203.0.113.66 - - [22/Nov/2026:12:00:00 +0000] "GET /401 HTTP/1.1" 200 403 "-" "curl"`, noon, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p, err := NewParser(tc.format, q)
			if err != nil {
				t.Fatal(err)
			}
			if r, ok := p.Parse([]byte(tc.line), tc.at); ok != tc.want {
				t.Errorf("%+v, %v", r, ok)
			}
		})
	}
	if _, err := NewParser("syslog", q); err == nil {
		t.Error("a format that does not exist is taken")
	}
}
