package logs

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// decoys are lines on which one reading of "the status" or another goes wrong.
var decoys = []string{
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "GET /api/401/ HTTP/1.1" 200 403 "-" "x \" 403 y"`,
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "GET /\" 401 1 HTTP/1.1" 200 29 "-" "-"`,
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "GET /\\" 403 29 "-" "ends in a backslash \\"`,
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "GET /\\\" 403 HTTP/1.1" 200 29 "-" "-"`,
	`198.51.100.7 - bob\"x [22/Nov/2026:19:35:18 +0000] "POST /api/revalidate/ HTTP/1.1" 403 29`,
	`" 401 `, `"" 401`, `"\" 401 "`, `"" 4011`, `""  401 `, `\"" 401 " 403`, `"a" 401` + "\t",
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "POST /api//revalidate/ HTTP/1.1" 200 29`,
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "POST /a/../api/revalidate?x=%2F/ HTTP/1.1" 204 29`,
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "POST /%61pi/revalidate/ HTTP/1.1" 200 29`,
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "POST http://h/api/revalidate/ HTTP/1.1" 200 29`,
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "POST /x?/api/revalidate/ HTTP/1.1" 200 29`,
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "POST /api/./revalidate#x HTTP/1.1" 200 29`,
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "/api/revalidate/" 200 29`,
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "post /api/track-view/ HTTP/1.1" 201 29`,
	`198.51.100.7 - - [22/Nov/2026:19:35:18 +0000] "OPTIONS /api/track-view HTTP/1.1" 200 29`,
}

// answered is the grammar of an access log's line up to the status: whatever stands
// before the request, the request, and three digits. Escaped characters are no quotes.
var answered = regexp.MustCompile(`(?s)^(?:[^"\\]|\\.)*?"((?:[^"\\]|\\.)*)" ([1-5][0-9][0-9])(?: |$)`)

// FuzzAccessReference holds the judgement of a line, which rejects almost all of them
// before it parses anything, against a regular expression that does not.
func FuzzAccessReference(f *testing.F) {
	for _, line := range seeds(f, Access) {
		f.Add(line)
	}
	for _, line := range decoys {
		f.Add([]byte(line))
	}
	g := newGuards(revalidate)
	f.Fuzz(func(t *testing.T, line []byte) {
		want, guarded := 0, -1
		if m := answered.FindSubmatch(line); m != nil {
			method, target := splitRequest(m[1])
			guarded = g.find(string(method), canonical(string(target)))
			status, _ := strconv.Atoi(string(m[2]))
			if status == 401 || status == 403 || status/100 == 2 && guarded >= 0 {
				want = status
			}
		}
		r, ok := parseAccess(line, g, time.UTC)
		if ok != (want > 0) || ok && (r.Status != want || r.Guarded != guarded) {
			t.Errorf("%q is %t, status %d, guarded %d; want %d, %d", line, ok, r.Status, r.Guarded, want, guarded)
		}
	})
}

// What a memo remembers is what would be found again.
func FuzzMemo(f *testing.F) {
	for _, line := range seeds(f, Access) {
		f.Add(line, line)
	}
	for i, line := range decoys {
		f.Add([]byte(line), []byte(decoys[(i+1)%len(decoys)]))
	}
	for _, stamp := range []string{
		"29/Mar/2026:04:30:00 +0000", "29/Mar/2026:24:30:00 +0000", "29/Mar/2026:04:60:00 +0000", "29/Mar/2026:04:30:61 +0000",
		"29/Mar/2026:04:30:60 +0000", "29/Mar/2026:0x:30:00 +0000", "29/Mar/2026:04:30:00x+0000", "29/Mar/2026:04:30:00 +0x00",
		"29/Mar/2026:04:30:00 +0130", "29/Mar/2026 04:30:00 +0000", "31/Feb/2026:04:30:00 +0000",
	} {
		line := func(stamp string) []byte {
			return []byte(`203.0.113.66 - - [` + stamp + `] "POST /api/revalidate/ HTTP/1.1" 401 29`)
		}
		for _, other := range []string{stamp, "29/Mar/2026:01:30:00" + stamp[20:], "29/Mar/2026:01:30:00 +0500"} {
			f.Add(line(other), line(stamp))
			f.Add(line(stamp), line(other))
		}
	}
	g := newGuards(revalidate)
	changing, err := time.LoadLocation("Europe/Berlin") // whose clocks change on 29 March 2026
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, before, line []byte) {
		a := accessLines{guard: g, zone: changing, memo: &memo{}}
		for _, l := range [][]byte{before, line, before, line} {
			want, wantOK := parseAccess(l, g, changing)
			var got Record
			at, ok := a.locate(l)
			if ok {
				got, ok = a.record(l, at)
			}
			if ok != wantOK || got != want {
				t.Errorf("after %q, %q is %+v %t, want %+v %t", before, l, got, ok, want, wantOK)
			}
		}
	})
}

// FuzzMemoOfMessages holds what is remembered of the lines of applications against reading
// each anew.
func FuzzMemoOfMessages(f *testing.F) {
	for _, format := range []Format{Security, Django, JSON, Logfmt, Auto} {
		lines := seeds(f, format)
		for i, line := range lines {
			f.Add(line, lines[(i+1)%len(lines)])
		}
	}
	for _, stamp := range []string{
		"2026-11-22 19:35:19", "2026-11-22 19:35:19,5", "2026-11-22 24:35:19", "2026-11-22 19:60:19", "2026-11-22 19:35:60", "2026-11-22 19:35:61",
		"2026-11-22 19:35:19 +0100", "2026-11-22 19:35:19+01:00", "2026-11-22 19:35:19 +01:00", "2026-11-22 19:35:19Z", "2026-11-22T19:35:19Z", "2026-11-22 19:35:19.1234567890 +0100",
		"2026-11-22 1x:35:19", `2026-11-22 19:35:19 +"0100`, "2026-11-23 19:35:19", "2026/11/22 19:35:19", "2026-11-31 19:35:19", "22/Nov/2026:19:35:19 +0000",
	} {
		for _, other := range []string{"2026-11-22 07:05:09,25", "2026-11-22 07:05:09 +0200", "2026-11-22 07:05:09+03:00", "2026-11-22T07:05:09Z", "2026/11/22 07:05:09 x"} {
			for _, before := range []string{"", "WARNING ", "Nov 22 19:35:18 host 1 ", `"`, "2026-11-21 ", strings.Repeat("x", 125), strings.Repeat("x", 135)} {
				line := func(stamp string) []byte {
					return []byte(before + stamp + " views_seo Invalid signature from 203.0.113.66 on POST /a")
				}
				f.Add(line(other), line(stamp))
			}
		}
	}
	for _, pair := range [][2]string{
		{"from 203.0.113.66 on POST /api/revalidate/", "from 198.51.100.7 on POST /api/revalidate/"},
		{"from 203.0.113.66 on POST /api/revalidate/", "from 999.51.100.7 on POST /api/revalidate/"},
		{"on POST /api/revalidate/ from 203.0.113.66", "on POST /api/revalidate/ from 198.51.100.7:80"},
		{"on POST /a/9 from 203.0.113.66", "on POST /a/9 from 198.51.100.7"},
		{"on POST /a 203.0.113.66 from 203.0.113.66", "on POST /a 198.51.100.7 from 203.0.113.66"},
		{`agent="x 203.0.113.66" ip=203.0.113.66 POST /a`, `agent="x 198.51.100.7" ip=203.0.113.66 POST /a`},
		{`agent="x 203.0.113.66 " ip=203.0.113.66 POST /a`, `agent="x 198.51.100.7 " ip=203.0.113.66 POST /a`},
		{"agent= 203.0.113.66 POST /a", "agent= 198.51.100.7 POST /a"},
		{"x203.0.113.66 from 203.0.113.66 POST /a", "x198.51.100.7 from 203.0.113.66 POST /a"},
		{"fe::ab 203.0.113.66 POST /a", "fe::ab 198.51.100.7 POST /a"},
	} {
		f.Add([]byte("2026-11-22 19:35:18 ip=192.0.2.9 Invalid signature "+pair[0]), []byte("2026-11-22 19:35:19 ip=192.0.2.9 Invalid signature "+pair[1]))
	}
	changing, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("2026-10-25 00:30:00 Invalid signature from 203.0.113.66"), []byte("2026-10-25 04:30:00 Invalid signature from 203.0.113.66"))
	f.Fuzz(func(t *testing.T, before, line []byte) {
		for i, format := range []Format{Security, Django, JSON, Logfmt, Auto, Security, Django} {
			q := query(format)
			if i >= 5 {
				q.Zone = changing
			}
			plain, remembering := newDialect(format, q, midnight), newDialect(format, q, midnight)
			plain.memo = nil
			if plain.inner != nil {
				plain.inner.memo = nil
			}
			for _, l := range [][]byte{before, line, before, line} {
				want, wantOK := plain.parse(l)
				got, ok := remembering.parse(l)
				if ok != wantOK || got != want {
					t.Errorf("%s: after %q, %q is %+v %t, want %+v %t", format, before, l, got, ok, want, wantOK)
				}
			}
		}
	})
}
