package logs

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"rekey/audit"
)

// seeds are the lines of the corpus.
func seeds(f *testing.F, format Format) [][]byte {
	f.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", string(format)+".log"))
	if err != nil {
		f.Fatal(err)
	}
	return bytes.Split(data, newline)
}

// fuzzParser checks what must hold of any record, whatever the line.
func fuzzParser(f *testing.F, format Format, parse func([]byte, guards, *time.Location) (Record, bool)) {
	for _, line := range seeds(f, format) {
		f.Add(line)
	}
	g := newGuards(revalidate)
	f.Fuzz(func(t *testing.T, line []byte) {
		r, ok := parse(line, g, time.UTC)
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
			if r.Status != 0 || !bytes.Contains(line, phrase) {
				t.Errorf("a signature failure that is none: %+v", r)
			}
		default:
			t.Errorf("kind %q", r.Kind)
		}
	})
}

func FuzzAccess(f *testing.F)   { fuzzParser(f, Access, parseAccess) }
func FuzzDjango(f *testing.F)   { fuzzParser(f, Django, parseDjango) }
func FuzzSecurity(f *testing.F) { fuzzParser(f, Security, parseSecurity) }

// FuzzScan holds the scanner against the naive reference on any bytes at all.
func FuzzScan(f *testing.F) {
	for n, format := range []Format{Access, Django, Security} {
		f.Add(bytes.Join(seeds(f, format), newline), uint8(n), uint16(100), uint16(300))
	}
	f.Add([]byte("\x00\x00\nInvalid signature\n\n"), uint8(2), uint16(1), uint16(10))
	f.Add([]byte(strings.Join(decoys, "\n")), uint8(0), uint16(700), uint16(900))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, which uint8, block, limit uint16) {
		if len(data) == 0 {
			return
		}
		format := []Format{Access, Django, Security}[which%3]
		s := &sizes{block: 1 + int(block)%4096, line: 64 + int(limit)%1024, budget: 1 << 20, whole: 1 << 40}
		s.tail = 1 + s.block/2
		l := openData(t, dir, data, format, s)
		defer func() { _ = l.Close(); _ = os.Remove(l.Path()) }()
		q := Query{Endpoints: revalidate, Workers: 3}
		want := naive(data, format, q, s.line)
		got, _, err := scanAll(l, q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("Scan differs from the reference (-want +got):\n%s", diff)
		}
		last, _, err := l.Last(t.Context(), q, 3, audit.Denied, audit.InvalidSignature, audit.Used)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lastOf(want, 3, []audit.Kind{audit.Denied, audit.InvalidSignature, audit.Used}), last, compare); diff != "" {
			t.Errorf("Last differs from the reference (-want +got):\n%s", diff)
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
