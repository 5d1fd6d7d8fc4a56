package logs

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// corpus is files of real layouts, with decoys in every field that a visitor chooses.
var corpus = []struct {
	file    string
	format  Format
	pattern string
}{
	{"access", Access, ""},
	{"django", Django, ""},
	{"security", Security, ""},
	{"json-caddy", JSON, ""},
	{"json-traefik", JSON, ""},
	{"json-structlog", JSON, ""},
	{"json-python", JSON, ""},
	{"json-nginx", JSON, ""},
	{"json-others", JSON, ""},
	{"logfmt", Logfmt, ""},
	{"pattern", Custom, piped},
	{"nginx-error", Custom, NginxErrors},
	{"apache-error", Custom, ApacheErrors},
	{"mixed", Auto, ""},
	{"syslog", Auto, ""},
}

// piped is the pattern of testdata/pattern.log.
const piped = `(?P<time>[^| ]+)\|(?P<addr>[^|]*)\|(?P<method>[A-Z]+)\|(?P<path>[^|]*)\|(?P<status>\d{3})\|(?P<forwarded>[^|]*)\|(?P<agent>.*)$`

// behind are the proxies of the tests.
var behind = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// ask is the query of the tests for a log with that pattern.
func ask(pattern string) Query {
	q, err := Query{Endpoints: revalidate, Proxies: behind}.As(pattern, nil)
	if err != nil {
		panic(err)
	}
	return q
}

// TestCorpus compares every record of the corpus with testdata/*.want.
//
// Guide: queries/invalid-signature, queries/denied
func TestCorpus(t *testing.T) {
	t.Parallel()
	for _, c := range corpus {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(filepath.Join("testdata", c.file+".want"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(string(want), findings(t, c.file, c.format, c.pattern)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.format, diff)
			}
		})
	}
}

// TestCorpusDetected reads the corpus as if nobody had said what it is.
func TestCorpusDetected(t *testing.T) {
	t.Parallel()
	for _, c := range corpus {
		// Only a pattern tells what is in a log of one's own, and an access log's own
		// format knows that a line is one however it begins.
		if c.pattern == piped || c.format == Access {
			continue
		}
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			if diff := gocmp.Diff(findings(t, c.file, c.format, c.pattern), findings(t, c.file, Auto, "")); diff != "" {
				t.Errorf("detected otherwise than %s (-%s +auto):\n%s", c.format, c.format, diff)
			}
		})
	}
}

// findings is what a file of the corpus says, a record a line.
func findings(t *testing.T, file string, format Format, pattern string) string {
	t.Helper()
	l, err := Open(filepath.Join("testdata", file+".log"), format)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	records, _, err := scanAll(l, ask(pattern))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, r := range records {
		addr := "-"
		if r.Addr.IsValid() {
			addr = r.Addr.String()
		}
		fmt.Fprintf(&got, "%s %s %s %s %s %d guarded=%d agent=%q\n", r.Kind, r.At.Format(time.TimeOnly), addr,
			cmp.Or(r.Method, "-"), cmp.Or(r.Path, "-"), r.Status, r.Guarded, r.Agent)
	}
	return got.String()
}

func TestStamp(t *testing.T) {
	t.Parallel()
	madrid := time.FixedZone("CET", 3600)
	tests := []struct {
		name, line string
		want       string // in UTC; "" for none
	}{
		{"access", `- [22/Nov/2026:19:35:18 +0100]`, "2026-11-22T18:35:18Z"},
		{"django.server, in the given zone", `[22/Nov/2026 19:35:18] x`, "2026-11-22T18:35:18Z"},
		{"asctime", `WARNING 2026-11-22 19:35:18,123 x`, "2026-11-22T18:35:18.123Z"},
		{"ISO with Z", `2026-11-22T19:35:18.5Z x`, "2026-11-22T19:35:18.5Z"},
		{"ISO with an offset", `2026-11-22T19:35:18-05:30`, "2026-11-23T01:05:18Z"},
		{"an offset after a space", `2026-11-22 19:35:18 +0000 x`, "2026-11-22T19:35:18Z"},
		{"a minus sign that is no offset", `2026-11-22 19:35:18 - django`, "2026-11-22T18:35:18Z"},
		{"a process id that looks like an offset", `2026-11-22 19:35:18 -12345 x`, "2026-11-22T18:35:18Z"},
		{"leap second", `2026-12-31 23:59:60 x`, "2026-12-31T23:00:00Z"},
		{"no such day", `2026-02-30 19:35:18 x`, ""},
		{"no such hour", `2026-02-20 25:35:18 x`, ""},
		{"in quotes", `GET "2026-11-22 19:35:18"`, ""},
		{"inside a number", `12026-11-22 19:35:18`, ""},
		{"too far in", strings.Repeat("x", 160) + ` 2026-11-22 19:35:18`, ""},
		{"the first wins", `2026-11-22 19:35:18Z /2025-01-01 00:00:00`, "2026-11-22T19:35:18Z"},
		{"empty", ``, ""},
		{"nginx's error log", `2026/11/22 19:35:18 [error] 7#7: x`, "2026-11-22T18:35:18Z"},
		{"Apache's error log", `[Sun Nov 22 19:35:18.123456 2026] [core:error] x`, "2026-11-22T18:35:18.123456Z"},
		{"Celery", `[2026-11-22 19:41:22,345: INFO/MainProcess] x`, "2026-11-22T18:41:22.345Z"},
		{"RFC 5424", `<34>1 2026-11-22T19:35:18.003Z web1 x`, "2026-11-22T19:35:18.003Z"},
		{"RFC 3339 in small letters", `2026-11-22t19:35:18.123456789z x`, "2026-11-22T19:35:18.123456789Z"},
		{"more digits than nanoseconds", `2026-11-22T19:35:18.1234567899999Z`, "2026-11-22T19:35:18.123456789Z"},
		{"UTC by name", `2026-11-22 19:35:18.5 UTC [7] LOG: x`, "2026-11-22T19:35:18.5Z"},
		{"syslog", `Nov 22 19:35:18 web1 x`, "2026-11-22T18:35:18Z"},
		{"syslog with a priority", `<134>Nov  2 19:35:18 web1 x`, "2026-11-02T18:35:18Z"},
		{"syslog, of the year before", `Dec 31 23:59:59 web1 x`, "2025-12-31T22:59:59Z"},
		{"syslog, a host called like a year", `Nov 22 19:35:18 2024-web x`, "2026-11-22T18:35:18Z"},
		{"syslog, a leap day", `Feb 29 19:35:18 web1 x`, "2024-02-29T18:35:18Z"},
		{"syslog, no such day", `Feb 30 19:35:18 web1 x`, ""},
		{"syslog that is not at the beginning", `x Nov 22 19:35:18 web1 x`, ""},
		{"a word that begins like a month", `Novel 2 19:35:18`, ""},
	}
	for _, tt := range tests {
		at, ok := stamp([]byte(tt.line), clock{zone: madrid, latest: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)})
		got := ""
		if ok {
			got = at.Format(time.RFC3339Nano)
		}
		if got != tt.want {
			t.Errorf("%s: %q is %q, want %q", tt.name, tt.line, got, tt.want)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/api/revalidate/":             "/api/revalidate/",
		"/api//%72evalidate?x=/y":      "/api/revalidate",
		"/a/../api/./revalidate/":      "/api/revalidate/",
		"http://h/api/revalidate/#top": "/api/revalidate/",
		"http://h":                     "/",
		"/%":                           "/%",
		"/%zz%4":                       "/%zz%4",
		"/../..":                       "/",
		"*":                            "*",
		"":                             "",
		"/a/.well-known/x":             "/a/.well-known/x",
	} {
		if got := canonical(in); got != want {
			t.Errorf("canonical(%q) = %q, want %q", in, got, want)
		}
	}
}
