package logs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"rekey/audit"
)

func TestLinesMakeRecords(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	q := Query{Window: audit.Window{Since: noon, Until: noon.Add(time.Hour)}}
	var got []Record
	lines, err := NewLines("Loki", Django, q, func(r Record) error { got = append(got, r); return nil })
	if err != nil {
		t.Fatal(err)
	}
	long := "Unauthorized: /" + strings.Repeat("x", 2*maxQuote)
	for n, line := range []string{"nothing\nat all", "Traceback:\nUnauthorized: /a\n", long, "2026-11-22 12:30:00Z Forbidden: /b", "2026-11-22 13:00:00Z Forbidden: /late"} {
		if err := lines.Take([]byte(line), noon.Add(time.Duration(n)*time.Second), "place"); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 3 || got[0].Offset != 1 || got[1].Offset != 2 || got[0].Name != "Loki at place" || got[0].Line != "Unauthorized: /a" || !got[0].At.Equal(noon.Add(time.Second)) {
		t.Errorf("records %+v", got)
	}
	var stats Stats
	lines.Tell(&stats)
	if len(got[1].Line) != maxQuote || stats.Matched != 5 {
		t.Errorf("kept %d bytes of a long line, took %d", len(got[1].Line), stats.Matched)
	}
	if gaps := stats.Gaps; len(gaps) != 1 || !strings.Contains(gaps[0].Why, "30m") {
		t.Errorf("half an hour apart: %+v", gaps)
	}
	if from, to := q.Reach(noon); !from.Before(noon) || !to.After(q.Window.Until) {
		t.Errorf("reach %s to %s", from, to)
	}
	if _, to := (Query{}).Reach(noon); !to.After(noon) {
		t.Errorf("a window without end reaches to %s", to)
	}
	stop := errors.New("stop")
	if lines, err = NewLines("", Django, q, func(Record) error { return stop }); err != nil {
		t.Fatal(err)
	}
	if err := lines.Take([]byte("Unauthorized: /a"), noon, ""); !errors.Is(err, stop) {
		t.Errorf("the consumer's error became %v", err)
	}
	if _, err := NewLines("", "syslog", q, nil); err == nil {
		t.Error("a format that does not exist is taken")
	}
}
