package logs

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// reader reads lines, of which a server leaves some out.
type reader struct {
	*dialect
	filter []*regexp.Regexp
}

// FuzzErrorLogs writes lines as servers do, with whatever a visitor may put into a user's
// name, a request and a referrer: a refusal is found, and never another client than the one
// that was refused.
func FuzzErrorLogs(f *testing.F) {
	f.Add("alice", "POST /api/revalidate/ HTTP/1.1", "http://r/")
	f.Add(`x", client`, `GET /", client: 198.51.100.9, server: x, request: "POST /api/revalidate/ HTTP/1.1", host: "x`, `, client: 198.51.100.9, server: x, request: "`)
	f.Add("a\nb 2026/11/22 19", `/ not found: /x`, "] [client 198.51.100.9:1] AH01630: client denied")
	f.Add(`" was not found in "x", client`, `/api/revalidate/": Password Mismatch`, "")
	f.Add("bob", `" was not found in "x", client: 198.51.100.9, server: a, request: "GET / HTTP/1.1`, `": password mismatch, client: 198.51.100.9, server: a, request: "`)
	f.Add(" not found", "", "access forbidden by rule, client: 198.51.100.9, server: , request: \"")
	client := netip.MustParseAddr("203.0.113.66")
	of := func(format Format, pattern string) reader {
		return reader{newDialect(format, ask(pattern), written), compiled(f, format, ask(pattern))}
	}
	nginx, apache, detecting := of(Custom, NginxErrors), of(Custom, ApacheErrors), of(Auto, "")
	f.Fuzz(func(t *testing.T, name, request, referrer string) {
		// A name ends at the colon before its password, a header at the end of its line.
		name, _, _ = strings.Cut(name, ":")
		oneLine := strings.NewReplacer("\r", "", "\n", "")
		request, referrer = oneLine.Replace(request), oneLine.Replace(referrer)
		escaped := strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(name)
		behind := fmt.Sprintf(`, client: %s, server: example.com, request: "%s", host: "example.com", referrer: "%s"`, client, request, referrer)
		for _, c := range []struct {
			reader
			line    string
			refused bool
		}{
			{nginx, `2026/11/22 19:35:18 [error] 7#7: *1 access forbidden by rule` + behind, true},
			{nginx, `2026/11/22 19:35:18 [error] 7#7: *1 user "` + name + `": password mismatch` + behind, !strings.Contains(name, "\n")},
			{nginx, `2026/11/22 19:35:18 [error] 7#7: *1 user "` + name + `" was not found in "/etc/nginx/htpasswd"` + behind, !strings.Contains(name, "\n")},
			{nginx, `2026/11/22 19:35:18 [error] 7#7: *1 open() "/var/www/` + request + `" failed (2: No such file or directory)` + behind, false},
			{nginx, `2026/11/22 19:35:18 [crit] 7#7: *1 connect() failed` + behind, false},
			{apache, `[Sun Nov 22 19:35:18.5 2026] [auth_basic:error] [pid 7:tid 7] [client 203.0.113.66:5] AH01618: user ` + escaped + ` not found: /` + request + `, referer: ` + referrer, true},
			{apache, `[Sun Nov 22 19:35:18.5 2026] [auth_basic:error] [pid 7:tid 7] [client 203.0.113.66:5] AH01617: user ` + escaped + `: authentication failure for "/` + request + `": Password Mismatch`, true},
			{apache, `[Sun Nov 22 19:35:18.5 2026] [core:error] [pid 7:tid 7] [client 203.0.113.66:5] AH00126: Invalid URI in request ` + request, false},
		} {
			found := false
			for line := range strings.SplitSeq(c.line, "\n") {
				r, ok := c.parse([]byte(line))
				if found = found || ok; ok {
					if auto, _ := detecting.parse([]byte(line)); auto != r {
						t.Errorf("%q is %+v, and detected %+v", line, r, auto)
					}
					if !kept(c.filter, []byte(line)) || !kept(detecting.filter, []byte(line)) {
						t.Errorf("a server would leave out %q", line)
					}
				}
				if ok && (r.Addr != client || r.Status != 401 && r.Status != 403) {
					t.Errorf("%q is by %s, status %d", line, r.Addr, r.Status)
				}
			}
			if found != c.refused {
				t.Errorf("%q is a refusal: %t, want %t", c.line, found, c.refused)
			}
		}
	})
}
