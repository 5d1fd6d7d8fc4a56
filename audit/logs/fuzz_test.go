package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"rekey/audit"
)

// seeds are the lines of the corpus.
func seeds(f *testing.F, format Format) [][]byte {
	f.Helper()
	var lines [][]byte
	for _, c := range corpus {
		if c.format != format {
			continue
		}
		data, err := os.ReadFile(filepath.Join("testdata", c.file+".log"))
		if err != nil {
			f.Fatal(err)
		}
		lines = append(lines, bytes.Split(data, newline)...)
	}
	return lines
}

// query is what the fuzz targets ask a log of that format.
func query(format Format) Query {
	if format == Custom {
		return ask(piped)
	}
	return ask("")
}

// fuzzParser checks what must hold of any record, whatever the line.
func fuzzParser(f *testing.F, format Format) {
	for _, line := range seeds(f, format) {
		f.Add(line)
	}
	d := newDialect(format, query(format), midnight)
	f.Fuzz(func(t *testing.T, line []byte) {
		r, ok := d.parse(line)
		if !ok {
			return
		}
		for what, text := range map[string]string{"path": r.Path, "agent": r.Agent, "method": r.Method} {
			if !utf8.ValidString(text) || utf8.RuneCountInString(text) > max(maxPath, maxAgent) {
				t.Errorf("%s %q is not fit to show", what, text)
			}
		}
		switch r.Kind {
		case audit.Denied:
			if r.Status != 401 && r.Status != 403 {
				t.Errorf("denied with status %d", r.Status)
			}
		case audit.Used:
			if r.Status < 200 || r.Status > 299 || r.Guarded < 0 || r.Recorder != Server {
				t.Errorf("a use that is none: %+v", r)
			}
		case audit.InvalidSignature:
			if r.Status != 0 || !bytes.Contains(line, phrase) && !bytes.Contains(line, []byte(`\u00`)) {
				t.Errorf("a signature failure that is none: %+v", r)
			}
		default:
			t.Errorf("kind %q", r.Kind)
		}
	})
}

func FuzzAccess(f *testing.F)   { fuzzParser(f, Access) }
func FuzzDjango(f *testing.F)   { fuzzParser(f, Django) }
func FuzzSecurity(f *testing.F) { fuzzParser(f, Security) }
func FuzzJSON(f *testing.F)     { fuzzParser(f, JSON) }
func FuzzLogfmt(f *testing.F)   { fuzzParser(f, Logfmt) }
func FuzzPattern(f *testing.F)  { fuzzParser(f, Custom) }
func FuzzAuto(f *testing.F)     { fuzzParser(f, Auto) }

// FuzzScan holds the scanner against the naive reference on any bytes at all.
func FuzzScan(f *testing.F) {
	for n, format := range formats {
		f.Add(bytes.Join(seeds(f, format), newline), uint8(n), uint16(100), uint16(300))
	}
	f.Add([]byte("\x00\x00\nInvalid signature\n\n"), uint8(2), uint16(1), uint16(10))
	f.Add([]byte(strings.Join(decoys, "\n")), uint8(0), uint16(700), uint16(900))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, which uint8, block, limit uint16) {
		if len(data) == 0 {
			return
		}
		format := formats[int(which)%len(formats)]
		s := &sizes{block: 1 + int(block)%4096, line: 64 + int(limit)%1024, budget: 1 << 20, whole: 1 << 40}
		s.most, s.all = 8*s.block, 16*s.block // where the data is long enough
		s.tail = 1 + s.block/2
		l := openData(t, dir, data, format, s)
		if l == nil {
			return // nothing but NUL bytes
		}
		data = data[l.skip:] // a hole at its beginning
		defer func() { _ = l.Close(); _ = os.Remove(l.Path()) }()
		q := query(format)
		q.Workers = 3
		// Without a guarded path there is another way to leap over lines.
		for _, q.Endpoints = range [][]Endpoint{q.Endpoints, nil} {
			want := naive(data, format, q, s.line)
			got, _, err := scanAll(l, q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, compare); diff != "" {
				t.Errorf("%d endpoints: Scan differs from the reference (-want +got):\n%s", len(q.Endpoints), diff)
			}
			last, _, err := l.Last(t.Context(), q, 3, audit.Denied, audit.InvalidSignature, audit.Used)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(lastOf(want, 3, []audit.Kind{audit.Denied, audit.InvalidSignature, audit.Used}), last, compare); diff != "" {
				t.Errorf("%d endpoints: Last differs from the reference (-want +got):\n%s", len(q.Endpoints), diff)
			}
		}
	})
}

// FuzzCanonical: a path that went through the router once does not change again,
// unless it was encoded twice.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"/a//b/../c?x", "http://h/%2e%2e/x", "/%25%32", "", "*", "/..//."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := canonical(s)
		for _, c := range once {
			if c == '%' || c == '?' || c == '#' {
				return
			}
		}
		if twice := canonical(once); once != "" && once[0] == '/' && twice != once {
			t.Errorf("%q becomes %q, then %q", s, once, twice)
		}
	})
}

// FuzzSet holds the reading of a rotated set against the naive reference: any bytes, cut
// into parts anywhere, packed or not.
func FuzzSet(f *testing.F) {
	for n, format := range []Format{Access, Django, Security} {
		f.Add(bytes.Join(seeds(f, format), newline), uint8(n), uint16(100), uint16(300), uint16(700), uint8(n))
	}
	f.Add([]byte("\x00\x00\nInvalid signature\n\n"), uint8(2), uint16(1), uint16(3), uint16(9), uint8(3))
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, which uint8, block, first, second uint16, packings uint8) {
		dir, err := os.MkdirTemp(root, "set") //nolint:usetesting // a folder of the test's own for each input would stay until all have run
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		format := []Format{Access, Django, Security}[which%3]
		a := min(int(first), len(data))
		b := min(a+int(second), len(data))
		extensions := []string{"", ".gz", ".zst"}
		parts := []text{
			{"access.log.2" + extensions[packings%3], data[:a]},
			{"access.log.1" + extensions[packings/3%3], data[a:b]},
			{"access.log", data[b:]},
		}
		sizes := sizes{block: 1 + int(block)%4096, line: 512, tail: 64, budget: 1 << 20, whole: 1 << 40}
		q := Query{Endpoints: revalidate, Workers: 2}
		var want []Record
		for n, p := range parts {
			stamped := fmt.Appendf(nil, "203.0.113.1 - - [22/Nov/2026:%02d:00:00 +0000] \"GET /part/%d HTTP/1.1\" 200 1 \"-\" \"-\"\n", n, n)
			p.data = append(stamped, p.data...)
			put(t, filepath.Join(dir, p.name), packed(t, p.name, p.data))
			want = append(want, naive(p.data, format, q, sizes.line)...)
		}
		s, err := openSet(t.Context(), SetConfig{Path: filepath.Join(dir, "access.log"), Format: format, Query: q}, sizes)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if s.Parts() != 3 || s.parts[0].number != 2 || s.parts[1].number != 1 {
			return // the times in them contradict the names
		}
		var got []Record
		if _, err := s.Scan(t.Context(), q, func(r Record) error { got = append(got, r); return nil }); err != nil {
			t.Fatal(err)
		}
		for _, list := range [][]Record{want, got} {
			for i := range list {
				list[i].Offset, list[i].Line, list[i].Name = 0, "", ""
			}
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("the set differs from the reference (-want +got):\n%s", diff)
		}
	})
}
