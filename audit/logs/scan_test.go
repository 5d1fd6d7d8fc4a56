package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"rekey/audit"
)

// naive is the reference: it reads the whole file, splits it at newlines and judges
// every line by itself. It shares the line parsers and nothing else.
func naive(data []byte, format Format, q Query, limit int) []Record {
	d := newDialect(format, q, written)
	var records []Record
	var last timed
	offset := int64(0)
	for _, raw := range bytes.SplitAfter(data, newline) {
		line := trimLine(bytes.TrimSuffix(raw, newline), limit)
		r, ok := d.parse(line)
		r.Offset = offset
		if ok && r.At.IsZero() {
			if ok = last.ok && offset-last.offset <= int64(limit); ok {
				r.At = last.at
			}
		}
		if ok && q.holds(r.At) {
			records = append(records, r)
		}
		if at, ok := d.stamp(line); ok {
			last = timed{offset: offset, at: at, ok: true}
		}
		offset += int64(len(raw))
	}
	return records
}

// open writes data to a file and opens it with the given sizes.
func openData(t interface {
	Fatal(...any)
	Helper()
}, dir string, data []byte, format Format, s *sizes,
) *File {
	t.Helper()
	f, err := os.CreateTemp(dir, "*.log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(f.Name(), written, written); err != nil {
		t.Fatal(err)
	}
	if s == nil {
		s = &usual
	}
	raw, info, err := openRegular(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	l := newFile(f.Name(), format, raw, info)
	l.sizes = *s
	if err := l.begin(); errors.Is(err, ErrEmpty) {
		_ = l.Close()
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	return l
}

func scanAll(l *File, q Query) ([]Record, Stats, error) {
	var got []Record
	stats, err := l.Scan(context.Background(), q, func(r Record) error {
		got = append(got, r)
		return nil
	})
	return got, stats, err
}

var compare = cmp.Options{cmpopts.EquateComparable(audit.Finding{}.Addr), cmpopts.EquateEmpty()}

var midnight = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// written is when the files of the tests were last written to.
var written = midnight.Add(48 * time.Hour)

var revalidate = []Endpoint{{Path: "/api/revalidate/", Method: "POST"}, {Path: "/api/track-view/"}}

// fragments are what random files are made of; %s is a timestamp.
var fragments = map[Format][]string{
	Access: {
		`203.0.113.66 - - [%s] "POST /api/revalidate/ HTTP/1.1" 401 29 "-" "curl/8.5"`,
		`203.0.113.66 - - [%s] "POST /api/revalidate/?x=1 HTTP/1.1" 200 29 "-" "curl/8.5"`,
		`203.0.113.66 - - [%s] "POST /api//%%72evalidate HTTP/1.1" 200 29 "-" "curl/8.5"`,
		`198.51.100.7 - - [%s] "GET /api/401/ HTTP/1.1" 404 403 "-" "x \" 403 y"`,
		`198.51.100.7 - - [%s] "GET / HTTP/1.1" 200 401`,
		`198.51.100.7 - bob\" [%s] "GET /\\\" 403 HTTP/1.1" 401 29 "-" "x \" 200 "`,
		`198.51.100.7 - - [%s] "POST /api/./revalidate?a=//%%2f HTTP/1.1" 204 29 "-" "\\"`,
		`2001:db8::7 - bob [%s] "GET /admin/ HTTP/1.1" 403 - "-" "-"`,
		`198.51.100.7 - - [%s] "\x16\x03\x01" 400 0 "-" "-"`,
		`- - - [%s] "GET /x HTTP/1.1" 401 0`,
		`1.2.3.4 - - "GET /timeless HTTP/1.1" 403 0`,
		`garbage`, ``, "\x00\x00\x00", "\xff\xfe 401 ",
	},
	Django: {
		`WARNING %s log Unauthorized: /api/revalidate/`,
		`[%s] WARNING [django.request] Forbidden (Permission denied): /api/x/`,
		`%s django.request Not Found: /api/401/`,
		`[%s] "GET /api/forbidden/ HTTP/1.1" 403 135`,
		`[%s] "GET /ok HTTP/1.1" 200 403`,
		`%s views_seo Invalid signature from 203.0.113.66 on POST /api/revalidate/`,
		`Unauthorized: /timeless`, `Traceback (most recent call last):`, `  File "x.py", line 403, in y`, ``,
	},
	Security: {
		`WARNING %s views_seo Invalid signature from 203.0.113.66 on POST /api/revalidate/`,
		`WARNING %s django.request Not Found: /Invalid signature`,
		`[%s] nothing`, `Invalid signature`, ``, "\x00\x00Invalid signature",
	},
	JSON: {
		`{"time":"%s","remote_addr":"203.0.113.66","method":"POST","path":"/api/revalidate/","status":401,"agent":"curl"}`,
		`{"time":"%s","remote_addr":"10.0.0.1","xff":"198.51.100.9","method":"POST","uri":"/api//%%72evalidate","status":200}`,
		`{"time":"%s","remote_addr":"10.0.0.1","method":"POST","uri":"\/api\/reval\u0069date\/","status":200}`,
		`{"remote_addr":"10.0.0.1","uri":"/x","status":"403"}`,
		`{"time":"%s","msg":"ok","size":401,"agent":"{\"status\":401}"}`,
		`{"time":"%s","event":"Invalid signature","ip":"203.0.113.66"}`,
		`{"time":"%s","message":"Unauthorized: /x","name":"django.request","stack":"a\nb"}`,
		`Traceback (most recent call last):`, `  File "x.py", line 403, in y`, ``, "\x00\x00{}", `{"a":`, "{\"\xff\xfe\":401}",
	},
	Logfmt: {
		`ts=%s method=POST path=/api/revalidate/ status=401 ip=203.0.113.66`,
		`ts=%s method=POST path="/api/./revalidate/" status=200 ip=203.0.113.66`,
		`ts=%s msg="Invalid signature" ip=203.0.113.66`, `ts=%s msg=ok n=401`,
		`path=/timeless status=403 ip=::1`, `level=info`, `401`, "ip=\xff status=401 path=\x00", ``,
	},
	Custom: {
		`%s|203.0.113.66|POST|/api/revalidate/|401|-|curl`, `%s|10.0.0.1|POST|/api/revalidate/|200|198.51.100.9|x`,
		`%s|10.0.0.1|GET|/x|404|-|401`, `|10.0.0.1|GET|/x|403|-|`, `garbage 401`, ``,
	},
	Auto: {
		`203.0.113.66 - - [@clf] "POST /api/revalidate/ HTTP/1.1" 401 29 "-" "curl/8.5"`,
		`WARNING %s log Unauthorized: /api/revalidate/`, `{"time":"%s","event":"Invalid signature","ip":"203.0.113.66"}`,
		`time="%s" path=/api/revalidate/ status=200 ip=203.0.113.66`, `@syslog web1 x[1]: {"status":401,"path":"/x","ip":"::1"}`,
		`Unauthorized: /timeless`, `Traceback (most recent call last):`, `  401`, ``, "\x00",
	},
}

// formats are all there are.
var formats = []Format{Access, Django, Security, JSON, Logfmt, Custom, Auto}

func layout(format Format) string {
	switch format {
	case Access:
		return "02/Jan/2006:15:04:05 -0700"
	case JSON, Logfmt, Custom:
		return time.RFC3339
	}
	return "2006-01-02 15:04:05,000"
}

// TestEveryReadingFindsTheSame holds the parallel scan, the bisection and the
// backward reading against the naive reference, with blocks so small that every
// edge falls everywhere.
//
// Guide: queries/invalid-signature, queries/denied
func TestEveryReadingFindsTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom(formats).Draw(t, "format")
		shuffled := rapid.Bool().Draw(t, "shuffled")
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		var data bytes.Buffer
		at := midnight
		for range rapid.IntRange(1, 120).Draw(t, "lines") {
			line := rapid.SampledFrom(fragments[format]).Draw(t, "line")
			jitter := time.Duration(rapid.IntRange(-25, 25).Draw(t, "jitter")) * time.Second
			if shuffled {
				jitter = time.Duration(rapid.IntRange(-3600, 3600).Draw(t, "jump")) * time.Second
			}
			at = at.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "step")) * time.Second)
			if bytes.Contains([]byte(line), []byte("%s")) {
				line = fmt.Sprintf(line, at.Add(jitter).Format(layout(format)))
			}
			line = strings.NewReplacer("@clf", at.Add(jitter).Format(layout(Access)), "@syslog", at.Add(jitter).Format(time.Stamp)).Replace(line)
			data.WriteString(line)
			if long := rapid.IntRange(0, 400).Draw(t, "long"); long > 380 {
				data.Write(bytes.Repeat([]byte("x"), long*2))
			}
			data.WriteString(end)
		}
		raw := data.Bytes()
		if rapid.Bool().Draw(t, "unfinished") {
			raw = bytes.TrimRight(raw, "\r\n")
		}
		if len(raw) == 0 {
			raw = []byte("\n")
		}
		s := &sizes{
			block: rapid.IntRange(1, 700).Draw(t, "block"), line: rapid.IntRange(180, 400).Draw(t, "limit"),
			most: rapid.IntRange(0, 3000).Draw(t, "most"), all: 1 << 20,
			tail: 1, budget: rapid.SampledFrom([]int{1 << 20, 500}).Draw(t, "budget"), whole: 1 << 40,
		}
		s.tail = rapid.IntRange(1, s.block).Draw(t, "tail")
		if !shuffled {
			s.whole = 0 // bisect
		}
		q := query(format)
		q.Workers = rapid.IntRange(1, 4).Draw(t, "workers")
		if rapid.Bool().Draw(t, "no needle") {
			q.Endpoints = append(slices.Clone(q.Endpoints), Endpoint{Path: "/x"})
		}
		q.Window.Since = midnight.Add(time.Duration(rapid.IntRange(-10, 7200).Draw(t, "since")) * time.Second)
		if rapid.Bool().Draw(t, "bounded") {
			q.Window.Until = q.Window.Since.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "for")) * time.Second)
		}
		l := openData(t, dir, raw, format, s)
		if l == nil {
			return // nothing but NUL bytes
		}
		defer func() { _ = l.Close(); _ = os.Remove(l.Path()) }()

		want := naive(raw, format, q, s.line)
		got, _, err := scanAll(l, q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Fatalf("Scan differs from the reference (-want +got):\n%s", diff)
		}

		n := rapid.IntRange(1, 8).Draw(t, "n")
		kinds := []audit.Kind{audit.Denied, audit.InvalidSignature, audit.Used}
		last, _, err := l.Last(context.Background(), q, n, kinds...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lastOf(want, n, kinds), last, compare); diff != "" {
			t.Fatalf("Last differs from the reference (-want +got):\n%s", diff)
		}
	})
}

// lastOf keeps the last n records of each kind.
func lastOf(records []Record, n int, kinds []audit.Kind) []Record {
	left := map[audit.Kind]int{}
	for _, k := range kinds {
		left[k] = n
	}
	var kept []Record
	for i := len(records) - 1; i >= 0; i-- {
		if r := records[i]; left[r.Kind] > 0 {
			left[r.Kind]--
			kept = append([]Record{r}, kept...)
		}
	}
	return kept
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.log")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"empty": empty, "missing": filepath.Join(dir, "none.log"), "folder": dir} {
		if l, err := Open(path, Access); err == nil {
			_ = l.Close()
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := Open(empty, "csv"); err == nil {
		t.Error("an unknown format was opened")
	}
}
