package logs

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rekey/audit"
)

// compiled are a format's expressions; the test fails where one is not of the common kind.
func compiled(t testing.TB, format Format, q Query) []*regexp.Regexp {
	t.Helper()
	var list []*regexp.Regexp
	for _, p := range Prefilter(format, q) {
		if strings.ContainsFunc(p, func(r rune) bool { return r > '~' || r < ' ' || strings.ContainsRune("\\`'$*+{}", r) }) {
			t.Errorf("%q holds what engines may read in different ways", p)
		}
		list = append(list, regexp.MustCompile(p))
	}
	return list
}

// kept reports whether a server would hand out the line.
func kept(list []*regexp.Regexp, line []byte) bool {
	for _, re := range list {
		if !re.Match(line) {
			return false
		}
	}
	return true
}

func TestPrefilterKeepsEverySpelling(t *testing.T) {
	t.Parallel()
	const agent = ` 12 "https://shop.example/a" "Mozilla/5.0"`
	for _, tc := range []struct {
		path, target string
		keep         bool
	}{
		{"/api/revalidate/", "/api/revalidate/", true},
		{"/api/revalidate/", "/api/revalidate", true},
		{"/api/revalidate/", "/api//%72evalidate/", true},
		{"/api/revalidate/", "//api/revalidate/", true},
		{"/api/revalidate/", "/api/x/../revalidate/", true},
		{"/api/revalidate/", "/./api/revalidate/", true},
		{"/api/revalidate/", "http://x/api/revalidate/?q=1", true},
		{"/api/revalidate/", "http://x//api/revalidate/", true},
		{"/api/revalidate/", "/api/other/", false},
		{"/api/revalidate/", "/", false},
		{"/feed+list/(c)", "/feed+list/(c)", true},
		{"/feed+list/(c)", "/other", false},
		{"/a:/b", "/a://b", true},
		{"/caf\u00e9", "/caf\u00e9", true},
		{"/caf\u00e9", "/caf%C3%A9", true},
		{"/", "/", true},
	} {
		q := Query{Endpoints: []Endpoint{{Path: tc.path}}}
		line := []byte(`203.0.113.66 - - [22/Nov/2026:19:35:18 +0000] "POST ` + tc.target + ` HTTP/1.1" 200` + agent)
		p, err := NewParser(Access, q)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := p.Parse(line, time.Time{}); ok != tc.keep {
			t.Errorf("%s: the parser says %v of %s", tc.path, ok, tc.target)
		}
		if got := kept(compiled(t, Access, q), line); got != tc.keep {
			t.Errorf("%s: %s is kept: %v", tc.path, tc.target, got)
		}
	}
}

// TestPrefilterLeavesOut: what it is for. A filter that keeps everything is right, too, and
// useless.
func TestPrefilterLeavesOut(t *testing.T) {
	t.Parallel()
	for _, c := range corpus {
		format := c.format
		data, err := os.ReadFile(filepath.Join("testdata", c.file+".log"))
		if err != nil {
			t.Fatal(err)
		}
		q := query(format)
		list, n, all := compiled(t, format, q), 0, 0
		for line := range bytes.Lines(data) {
			all++
			if kept(list, line) {
				n++
			}
		}
		// The corpora of the other formats hold evidence and decoys alone.
		if len(list) == 0 || n == 0 || n == all && format.telling() {
			t.Errorf("%s: %d expressions keep %d of %d lines", c.file, len(list), n, all)
		}
		if kept(list, []byte(`{"time":"2026-11-22T19:35:18Z","status":200,"path":"/articles/1/","ip":"203.0.113.7"}`)) {
			t.Errorf("%s: an ordinary request is kept", c.file)
		}
	}
}

// FuzzPrefilter: what the parser takes for evidence is never left out, whatever the line,
// the format and the guarded path.
func FuzzPrefilter(f *testing.F) {
	for n, format := range formats {
		for _, line := range seeds(f, format) {
			f.Add(line, uint8(n), "/api/revalidate/")
		}
	}
	f.Add([]byte(`- - - [x] "GET http://x/a:/..//b%2f HTTP/1.1" 204`), uint8(0), "/a:/b")
	f.Add([]byte(`"/a\"//b" 200`), uint8(0), `/a\"/b`)
	f.Add([]byte("\x00\x00Unauthorized: /\r"), uint8(1), "")
	f.Fuzz(func(t *testing.T, line []byte, which uint8, path string) {
		format := formats[int(which)%len(formats)]
		q := query(format)
		q.Window, q.Endpoints = audit.Window{}, []Endpoint{{Path: path}, {Path: "/api/track-view/", Method: "POST"}}
		p, err := NewParser(format, q)
		if err != nil {
			t.Fatal(err)
		}
		// Any time will do, so that none is refused for lack of one.
		if _, ok := p.Parse(line, time.Unix(1, 0)); ok && !kept(compiled(t, format, q), line) {
			t.Errorf("%s: a server would leave out evidence: %q", format, line)
		}
	})
}
