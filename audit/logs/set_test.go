package logs

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"rekey/audit"
)

// failer is what a test, a fuzz target and a property have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// put writes a file of a set.
func put(t failer, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// packed is data as a file called name would hold it; gzip in two members.
func packed(t failer, name string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var err error
	write := func(w io.WriteCloser, data []byte) {
		if _, werr := w.Write(data); werr != nil {
			err = werr
		}
		if cerr := w.Close(); cerr != nil {
			err = cerr
		}
	}
	switch filepath.Ext(name) {
	case ".gz":
		write(stdgzip.NewWriter(&out), data[:len(data)/2])
		write(stdgzip.NewWriter(&out), data[len(data)/2:])
	case ".zst":
		z, zerr := zstd.NewWriter(&out)
		if zerr != nil {
			t.Fatal(zerr)
		}
		write(z, data)
	case ".bz2":
		cmd := exec.Command("bzip2", "-c")
		cmd.Stdin, cmd.Stdout = bytes.NewReader(data), &out
		err = cmd.Run()
	default:
		return data
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// heard is a record with where it was read: for packed parts as the record says, for
// others as the set says.
type heard struct {
	Record
	Place, Text string
}

func hear(t failer, s *Set, q Query) ([]heard, Stats) {
	t.Helper()
	var got []heard
	var asked []int
	var offsets []int64
	stats, err := s.Scan(context.Background(), q, func(r Record) error {
		h := heard{Record: r, Place: r.Name, Text: r.Line}
		if r.Name == "" {
			asked, offsets = append(asked, len(got)), append(offsets, r.Offset)
		}
		got = append(got, h)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for k, name := range s.Names(offsets) {
		got[asked[k]].Place = name
		if got[asked[k]].Text, err = s.Line(offsets[k]); err != nil {
			t.Fatal(err)
		}
	}
	for k := range got {
		got[k].Offset, got[k].Name, got[k].Line = 0, "", ""
	}
	return got, stats
}

// naiveSet is the reference: it judges the lines of each part's text by themselves.
func naiveSet(parts []text, format Format, q Query, limit int) []heard {
	var want []heard
	for _, p := range parts {
		for _, r := range naive(p.data, format, q, limit) {
			line := bytes.Count(p.data[:r.Offset], newline) + 1
			shown := string(lineAt(p.data[r.Offset:], 0, limit))
			if filepath.Ext(p.name) != ".log" && filepath.Ext(p.name) != ".1" {
				shown = shown[:min(quoted, len(shown))]
			}
			r.Offset = 0
			want = append(want, heard{Record: r, Place: fmt.Sprintf("%s:%d", p.name, line), Text: shown})
		}
	}
	return want
}

// text is what a part holds, unpacked.
type text struct {
	name string
	data []byte
}

// checkInFolders is rapid.Check with a new folder for every run.
func checkInFolders(t *testing.T, property func(t *rapid.T, dir string)) {
	t.Helper()
	root, runs := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(root, fmt.Sprint(runs))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		property(t, dir)
	})
}

// TestASetFindsTheSame holds the reading of a rotated set, with all its ways to be
// packed, against the naive reference.
func TestASetFindsTheSame(t *testing.T) {
	t.Parallel()
	checkInFolders(t, func(t *rapid.T, dir string) {
		format := rapid.SampledFrom([]Format{Access, Django, Security}).Draw(t, "format")
		count := rapid.IntRange(1, 5).Draw(t, "parts")
		at := midnight
		var parts []text
		for n := count; n >= 0; n-- {
			name := "a.log"
			if n > 0 {
				name += fmt.Sprintf(".%d", n) + rapid.SampledFrom([]string{"", ".gz", ".zst"}).Draw(t, "packing")
			}
			if n > 1 && !strings.HasSuffix(name, ".gz") && !strings.HasSuffix(name, ".zst") {
				name += ".gz"
			}
			var data bytes.Buffer
			fmt.Fprintf(&data, "198.51.100.7 - - [%s] \"GET /part/%d HTTP/1.1\" 200 1 \"-\" \"-\"\n", at.Format(layout(format)), n)
			for range rapid.IntRange(0, 60).Draw(t, "lines") {
				line := rapid.SampledFrom(fragments[format]).Draw(t, "line")
				jitter := time.Duration(rapid.IntRange(-25, 25).Draw(t, "jitter")) * time.Second
				at = at.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "step")) * time.Second)
				if strings.Contains(line, "%s") {
					line = fmt.Sprintf(line, at.Add(jitter).Format(layout(format)))
				}
				data.WriteString(line)
				if long := rapid.IntRange(0, 400).Draw(t, "long"); long > 380 {
					data.Write(bytes.Repeat([]byte("x"), long*2))
				}
				data.WriteString("\n")
			}
			at = at.Add(2 * time.Minute)
			raw := data.Bytes()
			if rapid.Bool().Draw(t, "unfinished") {
				raw = bytes.TrimRight(raw, "\n")
			}
			parts = append(parts, text{name, raw})
			put(t, filepath.Join(dir, name), packed(t, name, raw))
		}
		sizes := sizes{
			block: rapid.IntRange(1, 700).Draw(t, "block"), line: rapid.IntRange(180, 400).Draw(t, "limit"),
			most: rapid.IntRange(0, 3000).Draw(t, "most"), all: 1 << 20,
			tail: 100, budget: 1 << 20, whole: rapid.SampledFrom([]int64{0, 1 << 40}).Draw(t, "whole"),
		}
		q := Query{Endpoints: revalidate, Workers: rapid.IntRange(1, 3).Draw(t, "workers")}
		q.Window.Since = midnight.Add(time.Duration(rapid.IntRange(-10, 7200).Draw(t, "since")) * time.Second)
		if rapid.Bool().Draw(t, "bounded") {
			q.Window.Until = q.Window.Since.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "for")) * time.Second)
		}
		// The files were written just now, long after the window began, so a time in the
		// past makes the reader free to leave some alone.
		for _, p := range parts {
			if err := os.Chtimes(filepath.Join(dir, p.name), midnight, midnight); err != nil {
				t.Fatal(err)
			}
		}
		s, err := openSet(context.Background(), SetConfig{Path: filepath.Join(dir, "a.log"), Format: format, Query: q}, sizes)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		got, stats := hear(t, s, q)
		if diff := cmp.Diff(naiveSet(parts, format, q, sizes.line), got, compare); diff != "" {
			t.Fatalf("the set differs from the reference (-want +got):\n%s", diff)
		}
		if len(stats.Gaps) > 0 || stats.Truncated {
			t.Fatalf("gaps %+v", stats.Gaps)
		}
	})
}

// setOf writes the parts, oldest first, and opens the set.
func setOf(t *testing.T, q Query, parts ...text) *Set {
	t.Helper()
	dir := t.TempDir()
	for _, p := range parts {
		put(t, filepath.Join(dir, p.name), packed(t, p.name, p.data))
		if err := os.Chtimes(filepath.Join(dir, p.name), midnight, midnight); err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenSet(t.Context(), SetConfig{Path: filepath.Join(dir, "access.log"), Format: Access, Query: q, Name: "web/access.log"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// refusals are n lines from an hour of midnight on, one a minute.
func refusals(hour, n int) []byte {
	var b bytes.Buffer
	for i := range n {
		at := midnight.Add(time.Duration(hour)*time.Hour + time.Duration(i)*time.Minute)
		fmt.Fprintf(&b, "203.0.113.66 - - [%s] \"GET /%d/%d HTTP/1.1\" 403 1 \"-\" \"-\"\n", at.Format("02/Jan/2006:15:04:05 -0700"), hour, i)
	}
	return b.Bytes()
}

// Every way of packing is read, in one order, and every line has its place.
func TestPlacesInASet(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bzip2"); err != nil {
		t.Skip("bzip2 is not installed")
	}
	s := setOf(t, Query{}, text{"access.log.4.bz2", refusals(0, 2)}, text{"access.log.3.zst", refusals(1, 2)},
		text{"access.log.2.gz", refusals(2, 2)}, text{"access.log.1", refusals(3, 2)}, text{"access.log", refusals(4, 1)})
	got, stats := hear(t, s, Query{})
	var places []string
	for _, h := range got {
		places = append(places, h.Place)
		if !strings.Contains(h.Text, `"GET `+h.Path+` `) {
			t.Errorf("%s is quoted as %q", h.Path, h.Text)
		}
	}
	want := "web/access.log.4.bz2:1 web/access.log.4.bz2:2 web/access.log.3.zst:1 web/access.log.3.zst:2 web/access.log.2.gz:1 " +
		"web/access.log.2.gz:2 web/access.log.1:1 web/access.log.1:2 web/access.log:1"
	if diff := cmp.Diff(strings.Fields(want), places); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	if !stats.Begins.Equal(midnight) || !stats.Ends.Equal(midnight.Add(4*time.Hour)) || stats.Lines != 9 || len(stats.Gaps) != 0 || !stats.Ordered {
		t.Errorf("the stats are %+v", stats)
	}
	last, _, err := s.Last(t.Context(), Query{}, 2, audit.Denied)
	if err != nil || len(last) != 2 || last[0].Path != "/3/1" || last[1].Path != "/4/0" {
		t.Errorf("the newest are %+v, %v", last, err)
	}
}

// Parts that the window does not need are not opened, and are no gap even if damaged.
func TestPartsOutsideTheWindow(t *testing.T) {
	t.Parallel()
	parts := []text{
		{"access.log.5.xz", []byte("\xfd7zXZ\x00")},
		{"access.log.4.gz", refusals(0, 2)},
		{"access.log.3.gz", refusals(2, 2)},
		{"access.log.2.gz", refusals(4, 2)},
		{"access.log.1", refusals(6, 2)},
		{"access.log", refusals(8, 2)},
	}
	for _, test := range []struct {
		name         string
		since, until int // hours
		want         string
		parts        int
	}{
		{"the end", 9, 0, "", 1},
		{"begins with a part", 6, 0, "/6/0 /6/1 /8/0 /8/1", 3}, // the one before may have stragglers
		{"a part alone", 5, 7, "/6/0 /6/1", 2},
		{"packed parts alone", 3, 5, "/4/0 /4/1", 2},
	} {
		q := Query{Window: audit.Window{Since: midnight.Add(time.Duration(test.since) * time.Hour)}}
		if test.until > 0 {
			q.Window.Until = midnight.Add(time.Duration(test.until) * time.Hour)
		}
		s := setOf(t, q, parts...)
		got, stats := hear(t, s, q)
		var paths []string
		for _, h := range got {
			paths = append(paths, h.Path)
		}
		if strings.Join(paths, " ") != test.want || s.Parts() != test.parts || len(stats.Gaps) != 0 {
			t.Errorf("%s: %v in %d parts, gaps %+v", test.name, paths, s.Parts(), stats.Gaps)
		}
	}
	// The whole of it needs the part that cannot be read.
	_, stats := hear(t, setOf(t, Query{}, parts...), Query{})
	if len(stats.Gaps) != 1 || stats.Gaps[0].Name != "web/access.log.5.xz" || !strings.Contains(stats.Gaps[0].Why, "compressed with xz") || stats.Gaps[0].Left != audit.Partial {
		t.Errorf("gaps %+v", stats.Gaps)
	}
}

// What of a set cannot be read is said, and the rest is read.
func TestGapsOfASet(t *testing.T) {
	t.Parallel()
	long := refusals(0, 5000)
	zipped, zst := packed(t, "x.gz", long), packed(t, "x.zst", long)
	flipped := slices.Clone(zipped)
	flipped[len(flipped)*3/4] ^= 0xff
	for _, test := range []struct {
		name      string
		parts     []text
		gap, why  string
		atLeast   int
		left      audit.Coverage
		untouched bool // the files are written as they are
	}{
		{"a cut archive", []text{{"access.log.1.gz", zipped[:len(zipped)/2]}}, "web/access.log.1.gz", "cut off after line", 2000, audit.Partial, true},
		{"a cut zstd archive", []text{{"access.log.1.zst", zst[:len(zst)/2]}}, "web/access.log.1.zst", "cut off", 1, audit.Partial, true},
		{"a damaged archive", []text{{"access.log.1.gz", flipped}}, "web/access.log.1.gz", "damaged after line", 2500, audit.Partial, true},
		{"an archive damaged at its beginning", []text{{"access.log.1.gz", []byte("\x1f\x8b\x08garbage garbage")}}, "web/access.log.1.gz", "nothing of it could be read", 1, audit.Partial, true},
		{"neither packed nor text", []text{{"access.log.1.gz", []byte("\x00\x01\x02")}}, "web/access.log.1.gz", "not what its name says", 1, audit.Partial, true},
		{"packed with an unknown tool", []text{{"access.log.1.lz4", []byte("\x04\x22\x4d\x18\x00\x00")}}, "web/access.log.1.lz4", "compressed with lz4", 1, audit.Partial, true},
		{"a missing part", []text{{"access.log.3", refusals(1, 2)}, {"access.log.1", refusals(2, 2)}}, "", "Between access.log.1 and access.log.3 a part is missing", 5, audit.Partial, true},
		{"an empty part", []text{{"access.log.2", refusals(1, 2)}, {"access.log.1", nil}}, "web/access.log.1", "wiped", 3, audit.Whole, true},
		{"a part without times", []text{{"access.log.1", []byte("GET /x 403\n")}}, "web/access.log.1", "None of its lines has a time", 1, audit.Partial, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, p := range append(test.parts, text{"access.log", refusals(100, 1)}) {
				put(t, filepath.Join(dir, p.name), p.data)
			}
			s, err := OpenSet(t.Context(), SetConfig{Path: filepath.Join(dir, "access.log"), Format: Access, Name: "web/access.log"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got, stats := hear(t, s, Query{})
			if len(stats.Gaps) != 1 || stats.Gaps[0].Name != test.gap || !strings.Contains(stats.Gaps[0].Why, test.why) || stats.Gaps[0].Left != test.left {
				t.Errorf("gaps %+v", stats.Gaps)
			}
			if len(got) < test.atLeast {
				t.Errorf("%d records, want at least %d", len(got), test.atLeast)
			}
		})
	}
}

// What stands twice is read once: a part that is being packed, and one that was packed
// or copied under another name.
func TestTheSameTextTwice(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][]text{
		"being packed":              {{"access.log.1.gz", nil}, {"access.log.1", refusals(0, 3)}, {"access.log", refusals(1, 1)}},
		"packed and forgotten":      {{"access.log.2.gz", refusals(0, 3)}, {"access.log.1", refusals(0, 3)}, {"access.log", refusals(1, 1)}},
		"copied, not yet truncated": {{"access.log.1", refusals(0, 3)}, {"access.log", refusals(0, 4)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, stats := hear(t, setOf(t, Query{}, parts...), Query{})
			if len(got) != 4 || len(stats.Gaps) != 0 {
				t.Errorf("%d records, want 4; gaps %+v", len(got), stats.Gaps)
			}
		})
	}
}

func TestSetsThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "empty.log"), nil)
	put(t, filepath.Join(dir, "empty.log.1"), nil)
	if err := os.Mkdir(filepath.Join(dir, "folder.log"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"none.log": fs.ErrNotExist, "none/a.log": fs.ErrNotExist, "empty.log": ErrEmpty, "folder.log": ErrIrregular,
	} {
		s, err := OpenSet(t.Context(), SetConfig{Path: filepath.Join(dir, name), Format: Access})
		if err == nil {
			_ = s.Close()
		}
		if !cmp.Equal(want, err, cmpopts.EquateErrors()) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if _, err := OpenSet(t.Context(), SetConfig{Path: filepath.Join(dir, "empty.log"), Format: "csv"}); err == nil {
		t.Error("an unknown format was opened")
	}
}

// Without its file a set is read, and the missing file is said, unless its names say
// that there is none.
func TestASetWithoutItsFile(t *testing.T) {
	t.Parallel()
	got, stats := hear(t, setOf(t, Query{}, text{"access.log.1", refusals(0, 2)}), Query{})
	if len(got) != 2 || len(stats.Gaps) != 1 || !strings.Contains(stats.Gaps[0].Why, "does not exist") {
		t.Errorf("%d records, gaps %+v", len(got), stats.Gaps)
	}
	got, stats = hear(t, setOf(t, Query{}, text{"access-2026-11-21.log.gz", refusals(0, 2)}, text{"access-2026-11-22.log", refusals(1, 2)}), Query{})
	if len(got) != 4 || len(stats.Gaps) != 0 {
		t.Errorf("%d records, gaps %+v", len(got), stats.Gaps)
	}
}

// A link leads to the log and to what was rotated away beside it.
func TestALinkToALog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "access.log.1"), refusals(0, 2))
	put(t, filepath.Join(dir, "access.log"), refusals(1, 2))
	link := filepath.Join(t.TempDir(), "web.log")
	if err := os.Symlink(filepath.Join(dir, "access.log"), link); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSet(t.Context(), SetConfig{Path: link, Format: Access})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, _ := hear(t, s, Query{}); len(got) != 4 {
		t.Errorf("%d records, want 4", len(got))
	}
}

// A part that a program went on writing to after the rotation is read, although the
// part after it begins before the window does.
func TestAStragglerWritesToAnOldPart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "access.log.1"), append(refusals(0, 1), refusals(5, 1)...))
	put(t, filepath.Join(dir, "access.log"), append(refusals(1, 1), refusals(6, 1)...))
	q := Query{Window: audit.Window{Since: midnight.Add(4 * time.Hour)}}
	for path, at := range map[string]time.Time{"access.log.1": midnight.Add(5 * time.Hour), "access.log": midnight.Add(6 * time.Hour)} {
		if err := os.Chtimes(filepath.Join(dir, path), at, at); err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenSet(t.Context(), SetConfig{Path: filepath.Join(dir, "access.log"), Format: Access, Query: q})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, _ := hear(t, s, q); len(got) != 2 || got[0].Path != "/5/0" || got[1].Path != "/6/0" {
		t.Errorf("found %+v", got)
	}
}
