package checklist_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/commands/checklist"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// site is an environment whose logs lie in a test's folder.
type site struct {
	t     *testing.T
	dir   string
	in    checklist.Input
	deps  checklist.Deps
	since time.Time
}

const (
	rekeys = "192.0.2.10" // where rekey asks from
	nextjs = "192.0.2.20" // a known caller of the endpoint
	enemy  = "203.0.113.66"
	agent  = "node"
	path   = "/api/revalidate/"
)

// newSite has an access, a django and a security log with a quiet past.
func newSite(t *testing.T, checks ...secret.Check) *site {
	t.Helper()
	if len(checks) == 0 {
		checks = []secret.Check{{Name: "No 401/403 in the logs", Kind: secret.CheckLogs, Within: soon, Every: often}}
	}
	s := &site{t: t, dir: t.TempDir(), in: input(secret.HMACOverlap, checks...)}
	s.since = s.in.Since.Truncate(time.Second)
	s.in.Since = s.since.Add(700 * time.Millisecond)
	s.in.Environment.Logs = []secret.Log{
		{Path: s.file("access.log"), Format: secret.LogAccess},
		{Path: s.file("django.log"), Format: secret.LogDjango},
		{Path: s.file("security.log"), Format: secret.LogSecurity},
	}
	s.in.Environment.Own = []netip.Prefix{netip.MustParsePrefix(rekeys + "/32"), netip.MustParsePrefix("127.0.0.1/32")}
	s.in.Place.Endpoints = []secret.Endpoint{{Path: path, Method: "POST", Callers: []netip.Prefix{netip.MustParsePrefix(nextjs + "/32")}}}
	s.access(-3*time.Hour, "0.0.0.0", "GET /", 200, "curl")
	s.access(-2*time.Hour, nextjs, "POST "+path, 401, agent)
	s.access(time.Hour-time.Second, nextjs, "POST "+path, 200, agent)
	appendTo(t, s.file("django.log"), "INFO %s starting", asctime(time.Now()))
	appendTo(t, s.file("security.log"), "INFO %s starting", asctime(time.Now()))
	return s
}

func (s *site) file(name string) string { return filepath.Join(s.dir, name) }

func asctime(at time.Time) string {
	return strings.Replace(at.UTC().Format("2006-01-02 15:04:05.000"), ".", ",", 1)
}

// access writes what gunicorn writes of a request at a time after the change.
func (s *site) access(after time.Duration, addr, request string, status int, agent string) {
	s.t.Helper()
	appendTo(s.t, s.file("access.log"), `%s - - [%s] "%s HTTP/1.1" %d 29 "-" "%s"`,
		addr, s.since.Add(after).UTC().Format("02/Jan/2006:15:04:05 -0700"), request, status, agent)
}

// refuse writes what all three logs hold of a refused signature.
func (s *site) refuse(after time.Duration, addr, agent string) {
	s.t.Helper()
	s.security(after, addr)
	appendTo(s.t, s.file("django.log"), "WARNING %s log 77 Forbidden: %s", asctime(s.since.Add(after)), path)
	s.access(after, addr, "POST "+path, 403, agent)
}

func (s *site) security(after time.Duration, addr string) {
	s.t.Helper()
	appendTo(s.t, s.file("security.log"), "WARNING %s views Invalid signature from %s on POST %s", asctime(s.since.Add(after)), addr, path)
}

// look runs the check over logs whose newest lines are as new as the files.
func (s *site) look() checklist.Line {
	s.t.Helper()
	for _, name := range []string{"django.log", "security.log"} {
		if _, err := os.Stat(s.file(name)); err == nil && len(s.in.Environment.Logs) > 1 {
			appendTo(s.t, s.file(name), "INFO %s still here", asctime(time.Now()))
		}
	}
	return run(s.t, start(s.t, s.deps), s.in)
}

// Guide: checklist/no-denials
func TestLogsWithoutARefusalOfOurs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	want(t, s.look(), verify.Passed, "no request of our own was refused since "+s.since.UTC().Format(time.TimeOnly))
	// Strangers are somebody else's business here.
	for range 300 {
		s.refuse(time.Minute, enemy, "python-requests/2.31")
	}
	// rekey asks with made-up values all the time.
	for n := range 40 {
		s.refuse(time.Minute+time.Duration(n%3)*time.Second, rekeys, verify.UserAgent)
	}
	s.access(2*time.Minute, enemy, "GET /admin/", 403, verify.UserAgent)
	want(t, s.look(), verify.Passed)
}

// Guide: checklist/no-denials
func TestLogsWithARefusalOfOurs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		write func(s *site)
		says  []string
	}{
		"a caller": {func(s *site) { s.refuse(2*time.Minute, nextjs, agent) }, []string{"1 request of our own refused", "POST " + path + " from " + nextjs + " (once"}},
		"among rekey's own and a flood": {func(s *site) {
			for range 500 {
				s.refuse(2*time.Minute, enemy, "flood")
				s.refuse(2*time.Minute, rekeys, verify.UserAgent)
			}
			s.refuse(2*time.Minute, rekeys, agent)
		}, []string{"1 request of our own refused", "from " + rekeys}},
		"only in the security log": {func(s *site) { s.security(time.Minute, nextjs); s.security(3*time.Minute, nextjs) }, []string{"2 requests", "2 times"}},
		"in the change's second":   {func(s *site) { s.access(0, nextjs, "POST "+path, 401, agent) }, []string{"(once, first at"}},
		"a forged mark of a caller's stranger": {func(s *site) {
			s.access(time.Minute, enemy, "POST "+path, 403, verify.UserAgent)
			s.access(time.Minute, nextjs, "POST "+path, 403, "x "+verify.UserAgent)
		}, []string{"1 request of our own", nextjs}},
		"elsewhere, for the first time": {func(s *site) { s.access(time.Minute, rekeys, "GET /metrics", 401, "monitor") }, []string{"GET /metrics from " + rekeys}},
		"of several kinds": {func(s *site) {
			for n := range 5 {
				s.access(time.Minute, rekeys, fmt.Sprintf("GET /page-%d", n), 403, "monitor")
			}
			s.refuse(time.Minute, nextjs, agent)
			s.refuse(time.Minute, nextjs, agent)
		}, []string{"7 requests", ": POST " + path, "3 more kinds"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, secret.Check{Kind: secret.CheckLogs, Within: minute, Every: often})
			c.write(s)
			l := s.look()
			want(t, l, verify.FailedCheck, c.says...)
			if l.Tries != 1 {
				t.Errorf("it took %d looks, but no log forgets", l.Tries)
			}
		})
	}
}

func TestWhatWasRefusedBeforeIsNotNew(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, after := range []time.Duration{-30 * time.Minute, time.Minute, 2 * time.Minute} {
		s.access(after, rekeys, "GET /metrics", 401, "monitor")
	}
	want(t, s.look(), verify.Passed)
	// That does not hold for the endpoints of the secret.
	for _, after := range []time.Duration{-30 * time.Minute, time.Minute} {
		s.access(after, rekeys, "POST "+path, 401, agent)
	}
	want(t, s.look(), verify.FailedCheck, "1 request of our own", path)
}

func TestRefusalsThatMayBeRekeysOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.security(time.Minute, rekeys)
	want(t, s.look(), verify.UnknownCheck, "1 refusal from our own addresses", "user agent")
	// The access log tells.
	s.access(time.Minute, rekeys, "POST "+path, 403, verify.UserAgent)
	want(t, s.look(), verify.Passed)
	// django.request names nobody.
	appendTo(t, s.file("django.log"), "WARNING %s log 77 Forbidden: %s", asctime(s.since.Add(5*time.Minute)), path)
	want(t, s.look(), verify.UnknownCheck, "1 refusal on the secret's endpoints", "no address")
}

func TestLogsThatAreNoEvidence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(s *site)
		says  string
	}{
		"none named":   {func(s *site) { s.in.Environment.Logs = nil }, "names no logs"},
		"missing":      {func(s *site) { s.remove("security.log") }, "security.log does not exist"},
		"a folder":     {func(s *site) { s.remove("django.log"); s.mkdir("django.log") }, "django.log could not be opened"},
		"packed":       {func(s *site) { appendTo(s.t, s.file("access.log.1.xz"), "\xfd7zXZ\x00 and so on") }, "access.log.1.xz: It is compressed with xz"},
		"no more used": {func(s *site) { s.remove("access.log"); s.access(-time.Minute, enemy, "GET /", 200, "x") }, "no access log has a line since"},
		"emptied":      {func(s *site) { s.remove("access.log"); s.empty("access.log") }, "no access log has a line since"},
		"no times":     {func(s *site) { s.remove("security.log"); appendTo(s.t, s.file("security.log"), "hello") }, "no line of security.log has a time"},
		"another zone": {func(s *site) { s.deps.Zone = time.FixedZone("", -5*3600) }, "its time zone is not the one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			c.spoil(s)
			want(t, run(t, start(t, s.deps), s.in), verify.UnknownCheck, c.says)
			// What the others show still counts.
			if name == "missing" {
				s.access(time.Minute, nextjs, "POST "+path, 401, agent)
				want(t, run(t, start(t, s.deps), s.in), verify.FailedCheck)
			}
		})
	}
}

func (s *site) remove(name string) {
	s.t.Helper()
	if err := os.Remove(s.file(name)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) mkdir(name string) {
	s.t.Helper()
	if err := os.Mkdir(s.file(name), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) empty(name string) {
	s.t.Helper()
	if err := os.WriteFile(s.file(name), nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func TestQuietSecurityLogMayBeEmpty(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.remove("security.log")
	s.empty("security.log")
	want(t, run(t, start(t, s.deps), s.in), verify.Passed)
}

func TestRotatedPartsAreReadToo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.access(time.Minute, nextjs, "POST "+path, 401, agent)
	if err := os.Rename(s.file("access.log"), s.file("access.log.1")); err != nil {
		t.Fatal(err)
	}
	s.access(30*time.Minute, nextjs, "POST "+path, 200, agent)
	want(t, s.look(), verify.FailedCheck, "1 request of our own", "from "+nextjs)
}

// TestTracesAreReadAfterTheActs: what a check causes must show in the logs' line.
func TestTracesAreReadAfterTheActs(t *testing.T) {
	t.Parallel()
	s := newSite(t,
		secret.Check{Name: "logs", Kind: secret.CheckLogs, Within: soon, Every: often},
		secret.Check{Name: "act", Kind: secret.CheckCommand, Within: minute},
	)
	line := fmt.Sprintf(`%s - - [%s] "POST %s HTTP/1.1" 403 9 "-" "node"`, nextjs, time.Now().UTC().Format("02/Jan/2006:15:04:05 -0700"), path)
	s.in.Place.Checks[1].Argv = sh(`sleep 0.2; echo "$2" >>"$1"`, s.file("access.log"), line)
	want(t, s.look(), verify.FailedCheck, "1 request of our own")
}

// TestTwoLogsOfOneRequest: nginx's log says whose a request was that gunicorn's lays at
// the proxy's door, which is an own address.
func TestTwoLogsOfOneRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.in.Environment.Logs = append(s.in.Environment.Logs, secret.Log{Path: s.file("gunicorn.log"), Format: secret.LogAccess})
	proxied := func(after time.Duration) {
		appendTo(t, s.file("gunicorn.log"), `127.0.0.1 - - [%s] "POST %s HTTP/1.1" 403 29 "-" "curl"`,
			s.since.Add(after).UTC().Format("02/Jan/2006:15:04:05 -0700"), path)
	}
	proxied(time.Hour - time.Second)
	s.access(time.Hour-time.Second, enemy, "POST "+path, 403, "curl")
	want(t, s.look(), verify.Passed)
	proxied(time.Minute)
	want(t, s.look(), verify.FailedCheck, "from 127.0.0.1")
}

// TestLogsOfOtherFormats: a log that nobody said what it is counts as an access log once
// requests were found in it, and who is behind a trusted proxy is who it says.
func TestLogsOfOtherFormats(t *testing.T) {
	t.Parallel()
	newEdge := func(entry secret.Log) (*site, func(after time.Duration, addr, forwarded string, status int)) {
		s := newSite(t)
		entry.Path = s.file("edge.log")
		s.in.Environment.Logs = []secret.Log{entry}
		s.in.Environment.Proxies = []netip.Prefix{netip.MustParsePrefix("172.16.0.0/12")}
		return s, func(after time.Duration, addr, forwarded string, status int) {
			appendTo(t, entry.Path, `{"time":%q,"remote_addr":%q,"http_x_forwarded_for":%q,"request":"POST %s HTTP/1.1","status":%d,"http_user_agent":"node"}`,
				s.since.Add(after).UTC().Format(time.RFC3339), addr, forwarded, path, status)
		}
	}
	s, request := newEdge(secret.Log{Format: secret.LogAuto})
	request(time.Hour-time.Second, enemy, nextjs, 403)
	want(t, s.look(), verify.Passed) // a stranger who says he is ours
	request(time.Hour-time.Second, "172.16.0.1", enemy+", "+nextjs, 403)
	want(t, s.look(), verify.FailedCheck, "1 request of our own", nextjs)

	s, request = newEdge(secret.Log{Format: secret.LogJSON})
	request(-time.Minute, nextjs, "-", 200)
	want(t, s.look(), verify.UnknownCheck, "edge.log")

	s, _ = newEdge(secret.Log{Format: secret.LogAuto})
	appendTo(t, s.file("edge.log"), "hello")
	want(t, s.look(), verify.UnknownCheck, "no line of edge.log could be understood")

	s, request = newEdge(secret.Log{Format: secret.LogPattern, Pattern: `(?P<when>.)`})
	request(time.Hour-time.Second, nextjs, "-", 200)
	want(t, s.look(), verify.UnknownCheck, `the catalogue's pattern of edge.log has a group "when"`)
}

// TestLogsAreGivenTimeToBeWritten: right after a change they hold nothing yet.
func TestLogsAreGivenTimeToBeWritten(t *testing.T) {
	t.Parallel()
	s := newSite(t, secret.Check{Kind: secret.CheckLogs, Within: minute, Every: often})
	s.in.Since = time.Now().Add(-2 * time.Second)
	now := s.in.Since
	s.deps.Clock = func() time.Time { now = now.Add(time.Second); return now }
	l := s.look()
	want(t, l, verify.Passed)
	if l.Tries < 3 {
		t.Errorf("it passed at look %d, %v after the change", l.Tries, now.Sub(s.in.Since))
	}
}
