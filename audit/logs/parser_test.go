package logs

import (
	"strings"
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
		{"JSON", JSON, `{"ts":1795348800,"event":"Invalid signature"}`, time.Time{}, true},
		{"JSON that only its source dates", JSON, `{"event":"Invalid signature"}`, noon, true},
		{"JSON that is cut off", JSON, `{"time":"2026-11-22T12:00:00Z","status":401,"path":"/x","ip":"::1","ua":"abc`, time.Time{}, true},
		{"no JSON", JSON, "WARNING 2026-11-22 12:00:00,123 views_seo Invalid signature", noon, false},
		{"logfmt", Logfmt, "ts=2026-11-22T12:00:00Z status=403 path=/x ip=::1\r\n", time.Time{}, true},
		{"a pattern", Custom, "2026-11-22T12:00:00Z|203.0.113.66|POST|/x|401|-|curl", time.Time{}, true},
		{"a line the pattern does not fit", Custom, "2026-11-22T12:00:00Z 401", noon, false},
		{"detected", Auto, "2026-11-22T12:00:00Z stdout F Unauthorized: /x", time.Time{}, true},
		{"a year that only its source tells", Auto, "Nov 22 12:00:00 web1 django: Unauthorized: /x", noon, true},
		{"a year that nobody tells", Auto, "Nov 22 12:00:00 web1 django: Unauthorized: /x", time.Time{}, false},
		{"a day after its source says it was written", Auto, "Nov 24 12:00:00 web1 django: Unauthorized: /x", noon, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			q := q
			if tc.format == Custom {
				q.Pattern = ask(piped).Pattern
			}
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

// TestShape: how much of a line is understood does not depend on whether it is evidence.
func TestShape(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		format Format
		line   string
		want   Shape
	}{
		{Access, `203.0.113.66 - - [22/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 404 1`, Asked},
		{Access, `hello`, Noise},
		{Django, `INFO 2026-11-22 12:00:00,123 x`, Dated},
		{Security, `x`, Noise},
		{JSON, `{"time":"2026-11-22T12:00:00Z","status":404,"path":"/x","ip":"::1"}`, Asked},
		{JSON, `{"time":"2026-11-22T12:00:00Z","status":404,"path":"/x"}`, Dated}, // a request of the application's own
		{JSON, `{"status":200}`, Dated},
		{JSON, `{"name":"gunicorn.access","message":"::1 - - [22/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 404 1"}`, Asked},
		{JSON, `{"log":"::1 - - [22/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 404 1\n","stream":"stdout"}`, Asked},
		{JSON, `{"log":"hello\n","stream":"stdout","time":"2026-11-22T12:00:00Z"}`, Dated},
		{JSON, `{"a":{"b":1}}`, Noise},
		{JSON, `INFO 2026-11-22 12:00:00,123 x`, Noise},
		{Logfmt, `status=200 path=/ ip=::1`, Asked},
		{Logfmt, `a=b`, Noise},
		{Custom, `2026-11-22T12:00:00Z|-|GET|/x|200|-|x`, Asked},
		{Custom, `2026-11-22T12:00:00Z GET /x`, Noise},
		{Auto, `::1 - - [22/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 404 1`, Asked},
		{Auto, `::1 - - [22/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1"`, Dated},
		{Auto, `Nov 22 12:00:00 web1 x[1]: {"status":200,"path":"/","ip":"::1"}`, Asked},
		{Auto, `[22/Nov/2026 12:00:00] "GET / HTTP/1.1" 200 1`, Dated},
		{Auto, `a=b c=d`, Noise},
		{Auto, ``, Noise},
	} {
		p, err := NewParser(tt.format, query(tt.format))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Shape([]byte(tt.line), written); got != tt.want {
			t.Errorf("%s: %q has shape %d, want %d", tt.format, tt.line, got, tt.want)
		}
	}
}

// TestSurvey: a log is looked at from its beginning to its end, whatever the window.
func TestSurvey(t *testing.T) {
	t.Parallel()
	const request = `{"ts":1795348800,"status":404,"path":"/x","ip":"::1"}`
	const message = `{"ts":1795348800,"msg":"nothing"}`
	for _, tt := range []struct {
		name               string
		data               string
		requests, messages bool
	}{
		{"requests", strings.Repeat(request+"\n", 100), true, false},
		{"messages", strings.Repeat(message+"\n", 100), false, true},
		{"a message now and then", strings.Repeat(request+"\n", 50) + message + "\n", true, false},
		{"both", strings.Repeat(request+"\r\n"+message+"\r\n", 50), true, true},
		{"neither", strings.Repeat("hello\n", 100), false, false},
		{"a line without its end", request, true, false},
		{"requests after much else", strings.Repeat(message+"\n", 20000) + strings.Repeat(request+"\n", 20000), true, true},
		{"empty lines", "\n\n\n" + request, true, false},
	} {
		l := openData(t, t.TempDir(), []byte(tt.data), Auto, nil)
		stats, err := l.Scan(t.Context(), Query{Window: audit.Window{Since: written.Add(1000 * time.Hour)}}, func(Record) error { return nil })
		_ = l.Close()
		if requests, messages := stats.Holds(); err != nil || requests != tt.requests || messages != tt.messages || stats.Sampled == 0 {
			t.Errorf("%s: requests %t, messages %t, %+v, %v", tt.name, requests, messages, stats, err)
		}
	}
}

// TestOddBytes: ends of lines of Windows, holes of NUL bytes, invalid UTF-8 and the lines
// of a traceback change nothing about the lines around them.
func TestOddBytes(t *testing.T) {
	t.Parallel()
	for format, lines := range map[Format][]string{
		JSON: {
			"\x00\x00\x00{\"ts\":1795348800,\"status\":401,\"path\":\"/\xff\xfe\",\"ip\":\"203.0.113.66\",\"ua\":\"\xc3(\"}\r", "Traceback (most recent call last):", "  \x00 401",
			"{\"event\":\"Invalid signature\",\"ip\":\"203.0.113.67\"}\r", "{\"ts\":\x001795348800,\"status\":401", "\xef\xbb\xbf",
		},
		Logfmt: {
			"\x00ts=1795348800 status=401 path=\"/\xff\xfe\" ip=203.0.113.66 ua=\"\xc3(\"\r", "Traceback (most recent call last):", "  \x00 401",
			"msg=\"Invalid signature\" ip=203.0.113.67\r", "status=401 path=\x00", "\xff=\xff",
		},
		Custom: {
			"\x00\x002026-11-22T12:00:00Z|203.0.113.66|GET|/\xff\xfe|401|-|\xc3(\r", "Traceback (most recent call last):", "  \x00 401",
			"|203.0.113.67|GET|/|403|-|x", "2026-11-22T12:00:00Z|203.0.113.67|GET|/", "\xff",
		},
	} {
		pattern := ""
		if format == Custom {
			pattern = strings.Replace(piped, "[^| ]+", "[^| ]*", 1)
		}
		l := openData(t, t.TempDir(), []byte(strings.Join(lines, "\n")), format, nil)
		got, _, err := scanAll(l, ask(pattern))
		_ = l.Close()
		if err != nil || len(got) != 2 || got[0].Path != "/" || got[0].Addr.String() != "203.0.113.66" || got[1].Addr.String() != "203.0.113.67" || !got[1].At.Equal(got[0].At) {
			t.Errorf("%s: %+v, %v", format, got, err)
		}
	}
}
