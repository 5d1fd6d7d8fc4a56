package inspect_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"rekey/audit"
	"rekey/commands/inspect"
)

// Every line behind the totals is handed out, each log's in its order, as it was found.
func TestTheLinesBehindAReportAreHandedOut(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	e.refused("203.0.113.66", now.Add(-50*time.Minute))
	for i := range 130 { // more than a report lists
		e.access("203.0.113.66", now.Add(-40*time.Minute+time.Duration(i)*5*time.Second), "POST /api/revalidate/", 200)
	}
	e.access("192.0.2.5", now.Add(-10*time.Minute), "POST /api/revalidate/", 200) // ours, and fine
	e.access("198.51.100.1", now.Add(-30*time.Hour), "POST /api/revalidate/", 200)
	var got []inspect.Line
	r := e.asked(inspect.Request{Secret: "REVALIDATE_SECRET", Until: now, Lines: func(l inspect.Line) { got = append(got, l) }})

	kinds, sources := map[audit.Kind]int{}, map[string][]int64{}
	for _, l := range got {
		kinds[l.Kind]++
		_, number, ok := strings.Cut(l.Place, l.Source+":")
		n, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil {
			t.Errorf("the place %q is no line of %s", l.Place, l.Source)
		}
		sources[l.Source] = append(sources[l.Source], n)
		if l.Lost || l.Cut || !strings.Contains(l.Text, "203.0.113.66") && !strings.Contains(l.Text, "Unauthorized: /api/revalidate/") {
			t.Errorf("handed out: %+v", l)
		}
	}
	if kinds[audit.Used] != r.Totals[audit.Used] || kinds[audit.Used] != 130 || kinds[audit.InvalidSignature] == 0 || len(r.Findings) > 110 {
		t.Errorf("lines %v, totals %v, %d findings", kinds, r.Totals, len(r.Findings))
	}
	for source, offsets := range sources {
		for i := 1; i < len(offsets); i++ {
			if offsets[i] <= offsets[i-1] {
				t.Errorf("%s: line %d comes after line %d", source, offsets[i], offsets[i-1])
			}
		}
	}
}

// A flood of refusals pushes out no use, and what is left out is said.
func TestAFloodOfLinesIsCutAndSaysSo(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	var b strings.Builder
	for i := range inspect.MaxLines + 10 {
		at := now.Add(-2*time.Hour + time.Duration(i)*20*time.Millisecond)
		fmt.Fprintf(&b, "203.0.113.66 - - [%s] \"POST /api/revalidate/ HTTP/1.1\" 403 5 \"-\" \"x\"\n", at.Format("02/Jan/2006:15:04:05 -0700"))
	}
	e.write(accessLog, strings.TrimSuffix(b.String(), "\n"))
	e.access("203.0.113.66", now.Add(-time.Minute), "POST /api/revalidate/", 200)
	kinds, cut := map[audit.Kind]int{}, map[audit.Kind]bool{}
	r := e.asked(inspect.Request{Secret: "REVALIDATE_SECRET", Until: now, Lines: func(l inspect.Line) {
		if l.Cut {
			cut[l.Kind] = true
			return
		}
		kinds[l.Kind]++
	}})
	if kinds[audit.Denied] != inspect.MaxLines || !cut[audit.Denied] || kinds[audit.Used] != 1 || cut[audit.Used] {
		t.Errorf("lines %v, cut %v", kinds, cut)
	}
	if r.Totals[audit.Denied] != inspect.MaxLines+10 {
		t.Errorf("totals %v", r.Totals)
	}
}
