package inspect_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
	"rekey/commands/secret"
)

// with replaces the estate's logs by one with lines in it.
func (e *estate) with(entry secret.Log, lines ...string) {
	e.t.Helper()
	entry.Path = filepath.Join(e.dir, "edge.log")
	e.cat.Environments[0].Logs = []secret.Log{entry}
	for _, line := range lines {
		e.write("edge.log", line)
	}
}

// caddy is a line of Caddy's.
func caddy(at time.Time, addr, forwarded string, status int) string {
	return fmt.Sprintf(`{"ts":%d,"msg":"handled request","request":{"remote_ip":%q,"method":"POST","uri":"/api/revalidate/","headers":{"X-Forwarded-For":[%q]}},"status":%d}`,
		at.Unix(), addr, forwarded, status)
}

// What counts as an access log is decided by what was found in it, unless its format or
// its pattern says so.
func TestWhatIsAnAccessLog(t *testing.T) {
	t.Parallel()
	old, late := now.Add(-30*time.Hour), now.Add(-time.Hour)
	const pattern = `(?P<time>\S+) (?P<addr>\S+) (?P<method>\S+) (?P<path>\S+) (?P<status>\d+)`
	for _, tt := range []struct {
		name    string
		entry   secret.Log
		lines   []string
		outcome audit.Outcome
		source  string // of the gap; "" where there must be none about logs
		words   string
	}{
		{
			"JSON with requests",
			secret.Log{Format: secret.LogJSON},
			[]string{caddy(old, "192.0.2.5", "-", 404), caddy(late, "192.0.2.5", "-", 200)},
			audit.NoSign, "", "",
		},
		{
			"detected, and quiet in the window",
			secret.Log{Format: secret.LogAuto},
			[]string{caddy(old, "192.0.2.5", "-", 404), `{"ts":` + fmt.Sprint(late.Unix()) + `,"msg":"config reloaded"}`},
			audit.NoSign, "", "",
		},
		{
			"detected, a stranger got in",
			secret.Log{Format: secret.LogAuto},
			[]string{caddy(old, "192.0.2.5", "-", 404), caddy(late, "203.0.113.66", "192.0.2.5", 200)},
			audit.Misused, "", "",
		},
		{
			"messages alone",
			secret.Log{Format: secret.LogAuto},
			[]string{"INFO 2026-11-20 10:00:00,000 starting", "INFO 2026-11-22 19:00:00,000 working"},
			audit.CannotTell, "access log", "None of this environment's logs holds requests",
		},
		{
			"nothing that could be understood",
			secret.Log{Format: secret.LogAuto},
			[]string{"hello", "world"},
			audit.CannotTell, "edge.log", "No line of it could be understood",
		},
		{
			"the wrong format",
			secret.Log{Format: secret.LogJSON},
			[]string{`192.0.2.5 - - [22/Nov/2026:19:00:00 +0000] "GET / HTTP/1.1" 200 1`},
			audit.CannotTell, "edge.log", "No line of it could be understood",
		},
		{
			"a pattern of one's own",
			secret.Log{Format: secret.LogPattern, Pattern: pattern},
			[]string{"2026-11-21T10:00:00Z 192.0.2.5 GET / 200", "2026-11-22T19:00:00Z 192.0.2.5 POST /api/revalidate/ 200"},
			audit.NoSign, "", "",
		},
		{
			"a pattern that fits no line",
			secret.Log{Format: secret.LogPattern, Pattern: pattern},
			[]string{"hello", "world"},
			audit.CannotTell, "edge.log", "No line of it could be understood",
		},
		{
			"a pattern that is none",
			secret.Log{Format: secret.LogPattern, Pattern: `(?P<when>.)`},
			[]string{"2026-11-21T10:00:00Z 192.0.2.5 GET / 200"},
			audit.CannotTell, "edge.log", `The catalogue's pattern has a group "when"`,
		},
		{
			"a zone of its own",
			secret.Log{Format: secret.LogPattern, Pattern: strings.Replace(pattern, `\S+`, `\S+ \S+`, 1), Zone: time.FixedZone("", 3600)},
			[]string{"2026-11-20 10:00:00 192.0.2.5 GET / 200", "2026-11-22 20:59:00 203.0.113.66 POST /api/revalidate/ 200"},
			audit.Misused, "", "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEstate(t)
			e.with(tt.entry, tt.lines...)
			report := e.audit(t.Context(), "REVALIDATE_SECRET")
			expect(t, report, tt.outcome)
			if tt.source != "" {
				expectGap(t, report, tt.source, tt.words)
				return
			}
			if len(report.Gaps) > 0 {
				t.Errorf("gaps: %v", report.Gaps)
			}
		})
	}
}

// TestErrorLog: an error log tells of refusals and of nothing else: each counts once, with
// its line in the access log, and a quiet one shows nothing of who was let in.
func TestErrorLog(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return now.Add(-time.Hour).Add(time.Duration(minute) * time.Minute) }
	refused := func(minute int) string {
		return at(minute).Format("2006/01/02 15:04:05") + ` [error] 7#7: *1 user "x" was not found in "/etc/nginx/htpasswd", client: 203.0.113.66, server: a, request: "POST /api/revalidate/ HTTP/1.1", host: "a"`
	}
	started := now.Add(-30*time.Hour).Format("2006/01/02 15:04:05") + " [notice] 7#7: start worker processes"
	access := func(minute int) string {
		return `203.0.113.66 - x [` + at(minute).Format("02/Jan/2006:15:04:05 -0700") + `] "POST /api/revalidate/ HTTP/1.1" 401 179 "-" "-"`
	}
	other := func(minute int) string { return strings.Replace(access(minute), "401", "404", 1) }
	for _, tt := range []struct {
		name           string
		errors, access []string // no access log where nil
		refusals       int
		outcome        audit.Outcome
	}{
		{"in both logs", []string{started, refused(1), refused(2)}, []string{other(-1700), access(1), access(2)}, 2, audit.Refused},
		{"in the error log alone", []string{started, refused(1)}, []string{other(-1700), other(3)}, 1, audit.Refused},
		{"a quiet error log", []string{started}, []string{other(-1700), other(3)}, 0, audit.NoSign},
		{"without an access log", []string{started, refused(1)}, nil, 1, audit.CannotTell},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEstate(t)
			e.with(secret.Log{Format: secret.LogPattern, Pattern: logs.NginxErrors}, tt.errors...)
			if tt.access != nil {
				for _, line := range tt.access {
					e.write("access.log", line)
				}
				e.cat.Environments[0].Logs = append(e.cat.Environments[0].Logs, secret.Log{Path: filepath.Join(e.dir, "access.log"), Format: secret.LogAccess})
			}
			report := e.audit(t.Context(), "REVALIDATE_SECRET")
			expect(t, report, tt.outcome)
			if got := report.Totals[audit.Denied]; got != tt.refusals {
				t.Errorf("%d refusals, want %d", got, tt.refusals)
			}
			if tt.access == nil {
				expectGap(t, report, "access log", "an accepted request leaves no trace")
			} else if len(report.Gaps) > 0 {
				t.Errorf("gaps: %v", report.Gaps)
			}
		})
	}
}

// Behind a trusted proxy the client is whom that names, and nobody else is believed.
func TestProxies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, addr, forwarded string
		outcome               audit.Outcome
		words                 string // of the verdict
	}{
		{"a known caller behind the proxy", "10.0.0.1", "192.0.2.5", audit.NoSign, ""},
		{"a stranger behind the proxy", "10.0.0.1", "203.0.113.66", audit.Misused, "203.0.113.66"},
		{"a stranger who says he is a known caller", "10.0.0.1", "192.0.2.5, 203.0.113.66", audit.Misused, "203.0.113.66"},
		{"a stranger who comes past the proxy", "203.0.113.66", "192.0.2.5", audit.Misused, "203.0.113.66"},
		{"a proxy that says nothing", "10.0.0.1", "", audit.CannotTell, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEstate(t)
			e.cat.Environments[0].Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			e.with(secret.Log{Format: secret.LogJSON}, caddy(now.Add(-30*time.Hour), "192.0.2.5", "", 404), caddy(now.Add(-time.Hour), tt.addr, tt.forwarded, 200))
			report := e.audit(t.Context(), "REVALIDATE_SECRET")
			expect(t, report, tt.outcome)
			if tt.words != "" && (len(report.Addresses) == 0 || report.Addresses[0].Name != tt.words) {
				t.Errorf("addresses %v, want %s", report.Addresses, tt.words)
			}
			if tt.outcome == audit.CannotTell {
				expectGap(t, report, "access logs", "the address of a proxy or none")
			}
		})
	}
}
