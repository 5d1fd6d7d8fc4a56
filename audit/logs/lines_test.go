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

// toldLine is a line as it was handed out.
type toldLine struct {
	Text string
	At   time.Time
}

func linesOf(t failer, s *Set, q Query) ([]toldLine, Stats) {
	t.Helper()
	var got []toldLine
	stats, err := s.Lines(context.Background(), q, func(l Line) error {
		got = append(got, toldLine{string(l.Text), l.At})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, stats
}

// naiveLines is the reference: every line of a text with the nearest time above it.
func naiveLines(data []byte, format Format, q Query, limit int) []toldLine {
	d := newDialect(format, q, midnight)
	var want []toldLine
	var last time.Time
	for line := range bytes.Lines(data) {
		line = trimLine(bytes.TrimSuffix(line, newline), limit)
		if at, ok := d.stamp(line); ok {
			last = at
		}
		if last.IsZero() || q.holds(last) {
			want = append(want, toldLine{string(line), last})
		}
	}
	return want
}

// TestLinesOfASet holds the plain lines of a rotated set against the reference.
func TestLinesOfASet(t *testing.T) {
	t.Parallel()
	checkInFolders(t, func(t *rapid.T, dir string) {
		format := rapid.SampledFrom([]Format{Auto, Django, JSON}).Draw(t, "format")
		sizes := sizes{block: 500, line: rapid.IntRange(60, 200).Draw(t, "limit"), whole: rapid.SampledFrom([]int64{0, 1 << 40}).Draw(t, "whole")}
		q := Query{Zone: time.UTC}
		q.Window.Since = midnight.Add(time.Duration(rapid.IntRange(-10, 3600).Draw(t, "since")) * time.Second)
		if rapid.Bool().Draw(t, "bounded") {
			q.Window.Until = q.Window.Since.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "for")) * time.Second)
		}
		at := midnight
		var want []toldLine
		for n := rapid.IntRange(0, 3).Draw(t, "parts"); n >= 0; n-- {
			name := "a.log"
			if n > 0 {
				name = fmt.Sprintf("a.log.%d%s", n, rapid.SampledFrom([]string{"", ".gz", ".zst"}).Draw(t, "packing"))
			}
			var data bytes.Buffer
			begins := "%s INFO part %d\n"
			if format == JSON {
				begins = `{"time":"%s","part":%d}` + "\n"
			}
			fmt.Fprintf(&data, begins, at.Format("2006-01-02 15:04:05"), n)
			for range rapid.IntRange(0, 60).Draw(t, "lines") {
				line := rapid.SampledFrom([]string{"%s one", "", "no time", `{"time":"%s","msg":"x"}`, "[%s] y\r", "%s " + strings.Repeat("long ", 90)}).Draw(t, "line")
				at = at.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "step")) * time.Second)
				jitter := time.Duration(rapid.IntRange(-25, 25).Draw(t, "jitter")) * time.Second
				fmt.Fprintln(&data, strings.Replace(line, "%s", at.Add(jitter).Format("2006-01-02 15:04:05"), 1))
			}
			at = at.Add(2 * time.Minute)
			raw := data.Bytes()
			if rapid.Bool().Draw(t, "unfinished") {
				raw = bytes.TrimRight(raw, "\n")
			}
			want = append(want, naiveLines(raw, format, q, sizes.line)...)
			put(t, filepath.Join(dir, name), packed(t, name, raw))
		}
		s, err := openSet(context.Background(), SetConfig{Path: filepath.Join(dir, "a.log"), Format: format, Query: q}, sizes)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		got, stats := linesOf(t, s, q)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the lines differ from the reference (-want +got):\n%s", diff)
		}
		if len(stats.Gaps) > 0 || stats.Truncated {
			t.Fatalf("gaps %+v", stats.Gaps)
		}
	})
}

// The zone of times that name none is told by a file's last such time and its writing.
func TestZoneOfALog(t *testing.T) {
	t.Parallel()
	const hour = 3600
	for name, test := range map[string]struct {
		clock   *time.Location
		lines   []string      // each a minute after the one before
		after   time.Duration // how long after the last the file was written to
		later   time.Duration // how much later than they were its times come out
		unknown bool
	}{
		"UTC":                          {time.UTC, []string{"2006-01-02 15:04:05 a"}, 0, 0, false},
		"to the east":                  {time.FixedZone("", 5*hour+45*60), []string{"2006-01-02 15:04:05 a", "[02/Jan/2006 15:04:05] b"}, time.Second, 0, false},
		"to the west":                  {time.FixedZone("", -8*hour), []string{"Jan _2 15:04:05 web app[7]: a", `{"time":"2006-01-02T15:04:05","msg":"b"}`}, 0, 0, false},
		"a traceback at its end":       {time.FixedZone("", -8*hour), []string{"2006-01-02 15:04:05 a", "Traceback"}, 5 * time.Minute, 0, false},
		"nothing dated for an hour":    {time.FixedZone("", 2*hour), []string{"2006-01-02 15:04:05 a"}, time.Hour, time.Hour, false},
		"nothing dated for a day":      {time.FixedZone("", -11*hour), []string{"2006-01-02 15:04:05 a"}, 24 * time.Hour, time.Hour, false},
		"behind a line of another":     {time.FixedZone("", -5*hour), []string{"2006-01-02 15:04:05 a", "2006-01-02T15:04:05-05:00 b"}, time.Minute, 0, false},
		"far behind a long line":       {time.FixedZone("", -5*hour), []string{"2006-01-02 15:04:05 a", strings.Repeat("long ", 20_000)}, time.Minute, 0, false},
		"zones that are always named":  {time.FixedZone("", 5*hour), []string{"2006-01-02T15:04:05-07:00 a"}, 24 * time.Hour, 0, false},
		"no time":                      {time.UTC, []string{"a"}, 0, 0, true},
		"written before it says it is": {time.UTC, []string{"2006-01-02 15:04:05 a"}, -time.Minute, 0, false},
	} {
		for _, ext := range []string{"", ".1.gz"} {
			dir := t.TempDir()
			written := midnight.Add(10 * time.Hour)
			var text strings.Builder
			first := written.Add(-test.after)
			for n, line := range test.lines {
				at := first.Add(-time.Duration(len(test.lines)-1-n) * time.Minute)
				if n == 0 {
					first = at
				}
				text.WriteString(at.In(test.clock).Format(line) + "\n")
			}
			path := filepath.Join(dir, "a.log")
			put(t, path, []byte("2026-11-22T09:00:00Z the file\n"))
			put(t, path+ext, packed(t, path+ext, []byte(text.String())))
			if err := os.Chtimes(path+ext, written, written); err != nil {
				t.Fatal(err)
			}
			s, err := OpenSet(t.Context(), SetConfig{Path: path, Format: Auto})
			if err != nil {
				t.Fatal(err)
			}
			got, _ := linesOf(t, s, Query{})
			want := first.Add(test.later)
			if test.unknown {
				want = time.Time{}
			}
			got = slices.DeleteFunc(got, func(l toldLine) bool { return strings.HasSuffix(l.Text, " the file") })
			if len(got) != len(test.lines) || !got[0].At.Equal(want) {
				t.Errorf("%s%s: the first of %d lines is of %v, want %v", name, ext, len(got), got[0].At, want)
			}
			_ = s.Close()
		}
	}
}

// What was not written to since the window began is not opened where times are believed;
// an empty log is a quiet one.
func TestTrustedTimes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	q := Query{Window: audit.Window{Since: midnight.Add(4 * time.Hour)}}
	for name, hour := range map[string]int{"a.log": 6, "a.log.1": 5, "a.log.2": 3, "a.log.3": 5} {
		at := midnight.Add(time.Duration(hour) * time.Hour)
		put(t, filepath.Join(dir, name), []byte(at.Format(time.RFC3339)+" "+name+"\n"))
		if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenSet(t.Context(), SetConfig{Path: path, Format: Auto, Query: q, TrustTimes: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, stats := linesOf(t, s, q)
	if len(got) != 3 || s.Parts() != 3 || len(stats.Gaps) != 0 {
		t.Errorf("lines %+v of %d parts, gaps %+v", got, s.Parts(), stats.Gaps)
	}
	late := Query{Window: audit.Window{Since: midnight.Add(7 * time.Hour)}}
	for name, cfg := range map[string]SetConfig{
		"not written to since": {Path: path, Query: late},
		"empty":                {Path: filepath.Join(dir, "empty.log"), Query: q},
		"empty, its parts old": {Path: path, Query: late},
	} {
		put(t, filepath.Join(dir, "empty.log"), nil)
		cfg.Format, cfg.TrustTimes = Auto, true
		s, err := OpenSet(t.Context(), cfg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, stats := linesOf(t, s, cfg.Query); len(got) != 0 || len(stats.Gaps) != 0 {
			t.Errorf("%s: lines %+v, gaps %+v", name, got, stats.Gaps)
		}
		_ = s.Close()
		if name == "not written to since" {
			put(t, path, nil)
		}
	}
	if _, err := OpenSet(t.Context(), SetConfig{Path: filepath.Join(dir, "none.log"), Format: Auto, Query: q, TrustTimes: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no log: %v", err)
	}
}

// An archive that breaks off gives what stands before, and a gap; an error of whoever takes
// the lines ends the reading and comes back as it is.
func TestLinesThatEnd(t *testing.T) {
	t.Parallel()
	zipped := packed(t, "x.gz", refusals(0, 5000))
	s := setOf(t, Query{}, text{"access.log.1", zipped[:len(zipped)/2]}, text{"access.log", refusals(100, 2)})
	got, stats := linesOf(t, s, Query{})
	if len(got) < 2000 || got[len(got)-1].At.Before(midnight.Add(100*time.Hour)) || len(stats.Gaps) != 1 || !strings.Contains(stats.Gaps[0].Why, "cut off after line") {
		t.Errorf("%d lines, gaps %+v", len(got), stats.Gaps)
	}
	if stats.Lines != int64(len(got)) || !stats.Begins.Equal(midnight) || !stats.Ordered {
		t.Errorf("stats %+v", stats)
	}
	enough := errors.New("enough")
	for _, at := range []int{1, 3000} {
		seen := 0
		whole := setOf(t, Query{}, text{"access.log.1.gz", refusals(0, 4999)}, text{"access.log", refusals(100, 2)})
		if _, err := whole.Lines(t.Context(), Query{}, func(Line) error {
			if seen++; seen == at {
				return enough
			}
			return nil
		}); err != enough || seen != at { //nolint:errorlint // it must come back as it is
			t.Errorf("%v after %d lines, want it after %d", err, seen, at)
		}
		ctx, cancel := context.WithCancel(t.Context())
		seen = 0
		if _, err := whole.Lines(ctx, Query{}, func(Line) error {
			if seen++; seen == at {
				cancel()
			}
			return nil
		}); !errors.Is(err, context.Canceled) || seen > at+patience {
			t.Errorf("%v after %d lines, want that it was stopped", err, seen)
		}
	}
}
