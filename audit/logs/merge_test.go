package logs

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rekey/audit"
)

// said is one line: who wrote it (source), when (seconds), and what it knows.
type said struct {
	source   int
	recorder Recorder
	at       float64
	addr     string
	path     string
	method   string
	status   int
}

func (s said) record() Record {
	r := Record{
		Kind: audit.Denied, Recorder: s.recorder, At: midnight.Add(time.Duration(s.at * float64(time.Second))),
		Path: s.path, Method: s.method, Status: s.status, Guarded: newGuards(revalidate).find(s.method, s.path),
	}
	if s.addr != "" {
		r.Addr = netip.MustParseAddr(s.addr)
	}
	if s.recorder == Application {
		r.Kind = audit.InvalidSignature
	}
	if s.status/100 == 2 {
		r.Kind = audit.Used
	}
	return r
}

func merged(lines []said) []Event {
	var events []Event
	m := NewMerger(func(e *Event) { events = append(events, e.Clone()) })
	for _, s := range lines {
		m.Add(s.source, s.record())
	}
	m.Close()
	return events
}

// The sources of the table below.
const (
	nginx = iota
	gunicorn
	django
	security
)

func TestOneRequestInSeveralLogs(t *testing.T) {
	t.Parallel()
	const a, b, p = "203.0.113.66", "198.51.100.7", "/api/revalidate/"
	tests := []struct {
		name  string
		lines []said
		want  int // events
	}{
		{"in all four logs", []said{
			{nginx, Server, 1, a, p, "POST", 401},
			{gunicorn, Server, 1, a, p, "POST", 401},
			{django, Request, 1.2, "", p, "", 401},
			{security, Application, 1.3, a, p, "POST", 0},
		}, 1},
		{"the access log is written when the answer is out", []said{
			{security, Application, 1.9, a, p, "POST", 0},
			{django, Request, 1.9, "", p, "", 401},
			{gunicorn, Server, 3, a, p, "POST", 401},
		}, 1},
		{"too late to be the same", []said{
			{security, Application, 1, a, p, "POST", 0},
			{gunicorn, Server, 4, a, p, "POST", 401},
		}, 2},
		{"two lines of one log are two requests", []said{
			{nginx, Server, 1, a, p, "POST", 401},
			{nginx, Server, 1, a, p, "POST", 401},
		}, 2},
		{"twice in both logs", []said{
			{nginx, Server, 1, a, p, "POST", 401},
			{nginx, Server, 1, a, p, "POST", 401},
			{gunicorn, Server, 1, a, p, "POST", 401},
			{gunicorn, Server, 1, a, p, "POST", 401},
		}, 2},
		{"matched in order, not to the nearest", []said{
			{nginx, Server, 0, a, p, "POST", 401},
			{nginx, Server, 2, a, p, "POST", 401},
			{gunicorn, Server, 2, a, p, "POST", 401},
			{gunicorn, Server, 3, a, p, "POST", 401},
		}, 2},
		{"two recorders in one file", []said{
			{django, Request, 1, "", p, "", 401},
			{django, Runserver, 1, "", p, "POST", 401},
		}, 1},
		{"another address", []said{
			{nginx, Server, 1, a, p, "POST", 401},
			{gunicorn, Server, 1, b, p, "POST", 401},
		}, 2},
		{"another path", []said{
			{nginx, Server, 1, a, p, "POST", 401},
			{gunicorn, Server, 1, a, "/x", "POST", 401},
		}, 2},
		{"another method", []said{
			{nginx, Server, 1, a, p, "POST", 401},
			{gunicorn, Server, 1, a, p, "GET", 401},
		}, 2},
		{"another status", []said{
			{nginx, Server, 1, a, p, "POST", 403},
			{gunicorn, Server, 1, a, p, "POST", 401},
		}, 2},
		{"refused and accepted", []said{
			{nginx, Server, 1, a, p, "POST", 401},
			{gunicorn, Server, 1, a, p, "POST", 200},
		}, 2},
		{"with and without the slash at the end", []said{
			{nginx, Server, 1, a, "/x", "GET", 401},
			{django, Request, 1, "", "/x/", "", 401},
		}, 1},
		{"the server behind a proxy sees the proxy", []said{
			{nginx, Server, 1, a, p, "POST", 200},
			{gunicorn, Server, 1, "127.0.0.1", p, "POST", 200},
		}, 1},
		{"another loopback address is a client", []said{
			{nginx, Server, 1, "127.0.0.66", p, "POST", 200},
			{gunicorn, Server, 1, "127.0.0.67", p, "POST", 200},
		}, 2},
		{"two clients, and Django that knows neither", []said{
			{nginx, Server, 1, a, p, "POST", 401},
			{nginx, Server, 1, b, p, "POST", 401},
			{django, Request, 1, "", p, "", 401},
			{django, Request, 1, "", p, "", 401},
		}, 2},
		{"Django first", []said{
			{django, Request, 1, "", p, "", 401},
			{django, Request, 1, "", p, "", 401},
			{nginx, Server, 1, a, p, "POST", 401},
			{nginx, Server, 1, b, p, "POST", 401},
		}, 2},
		{"a signature failure without a path", []said{
			{security, Application, 1, a, "", "", 0},
			{nginx, Server, 1, b, p, "POST", 401},
			{nginx, Server, 1, a, p, "POST", 401},
		}, 2},
		{"a signature failure that knows nothing", []said{
			{nginx, Server, 1, a, "/unguarded", "POST", 401},
			{nginx, Server, 1, a, p, "POST", 401},
			{security, Application, 1.5, "", "", "", 0},
		}, 2},
		{"a signature failure that knows nothing, first", []said{
			{security, Application, 1.5, "", "", "", 0},
			{nginx, Server, 2, a, "/unguarded", "POST", 401},
			{nginx, Server, 2, a, p, "POST", 401},
		}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := merged(tt.lines); len(got) != tt.want {
				t.Errorf("%d events, want %d: %+v", len(got), tt.want, got)
			}
		})
	}
}

// What several logs know comes together in one event.
func TestMergedEventKnowsAll(t *testing.T) {
	t.Parallel()
	events := merged([]said{
		{security, Application, 1.25, "", "/api/revalidate/", "", 0},
		{gunicorn, Server, 2, "127.0.0.1", "/api/revalidate/", "POST", 401},
		{nginx, Server, 2, "203.0.113.66", "/api/revalidate/", "POST", 401},
	})
	if len(events) != 1 {
		t.Fatalf("%d events, want 1", len(events))
	}
	e := events[0]
	if e.Kind != audit.InvalidSignature || e.Addr.String() != "203.0.113.66" || e.Status != 401 || e.Method != "POST" ||
		!e.At.Equal(midnight.Add(1250*time.Millisecond)) || len(e.Places) != 3 {
		t.Errorf("the event lost something: %+v", e)
	}
}

// TestPlantedRequestsAreCountedOnce plants random requests, writes each into a
// random choice of logs with the delays of real ones, and expects as many events as
// were planted. Requests of one address and path lie far enough apart in time to be
// told from each other; all others are crowded together.
func TestPlantedRequestsAreCountedOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		planted := rapid.IntRange(1, 60).Draw(t, "planted")
		var lines []said
		for n := range planted {
			addr := fmt.Sprintf("203.0.113.%d", n%250)
			at := float64(rapid.IntRange(0, 20).Draw(t, "at"))
			whole := said{nginx, Server, at, addr, "/p" + fmt.Sprint(n%3), "GET", 403}
			lines = append(lines, whole)
			if rapid.Bool().Draw(t, "gunicorn") {
				copied := whole
				copied.source, copied.addr, copied.at = gunicorn, addr, at+float64(rapid.IntRange(-1, 1).Draw(t, "late"))
				lines = append(lines, copied)
			}
			if rapid.Bool().Draw(t, "security") {
				copied := whole
				copied.source, copied.recorder, copied.status = security, Application, 0
				lines = append(lines, copied)
			}
		}
		slices.SortStableFunc(lines, func(a, b said) int { return a.record().At.Compare(b.record().At) })
		events := merged(lines)
		if len(events) != planted {
			t.Fatalf("%d events, want the %d planted: %+v", len(events), planted, lines)
		}
		places := 0
		for _, e := range events {
			places += len(e.Places)
		}
		if places != len(lines) {
			t.Fatalf("%d places, want one for each of %d lines", places, len(lines))
		}
	})
}

// A flood of distinct paths must not be kept.
func TestMergerForgets(t *testing.T) {
	t.Parallel()
	m := NewMerger(func(*Event) {})
	for n := range 60_000 {
		m.Add(nginx, said{nginx, Server, float64(n) / 100, "203.0.113.66", fmt.Sprintf("/p%d", n), "GET", 403}.record())
	}
	if len(m.open.list()) > 1_000 || len(m.queues) > 20_000 {
		t.Errorf("%d events and %d queues are kept after 10 minutes at 100 a second", len(m.open.list()), len(m.queues))
	}
}

// An address of a trusted proxy that did not say whom it spoke for fits any client's.
func TestMergerTakesAProxyForNobody(t *testing.T) {
	t.Parallel()
	at := midnight
	for _, proxied := range []bool{true, false} {
		var events []Event
		m := NewMerger(func(e *Event) { events = append(events, e.Clone()) })
		m.Add(0, Record{Kind: audit.Denied, Recorder: Server, At: at, Addr: netip.MustParseAddr("10.0.0.1"), Proxied: proxied, Path: "/x", Status: 401, Guarded: -1})
		m.Add(1, Record{Kind: audit.Denied, Recorder: Server, At: at, Addr: netip.MustParseAddr("203.0.113.66"), Path: "/x", Status: 401, Guarded: -1})
		m.Close()
		if want := map[bool]int{true: 1, false: 2}[proxied]; len(events) != want {
			t.Errorf("proxied %t: %d events, want %d", proxied, len(events), want)
		}
		if proxied && (events[0].Addr.String() != "203.0.113.66" || events[0].Proxied) {
			t.Errorf("%+v", events[0])
		}
	}
}
