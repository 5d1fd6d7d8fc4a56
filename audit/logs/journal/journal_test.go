package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/audittest/journaltest"
	"rekey/audit/audittest/programtest"
	"rekey/audit/logs"
	"rekey/audit/logs/sourcetest"
)

const unit = "leather-api.service"

var (
	noon   = sourcetest.Noon()
	query  = sourcetest.Query()
	window = query.Window
)

func open(t *testing.T, change func(*Config)) *Source {
	t.Helper()
	cfg := Config{Unit: unit, Format: logs.Access, Now: func() time.Time { return window.Until }}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// written is a directory with a journal of the entries.
func written(t *testing.T, entries ...journaltest.Entry) string {
	t.Helper()
	dir := t.TempDir()
	if err := journaltest.Write(dir, entries...); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestSameAsTheParser: what the real journalctl leaves out is never evidence, invalid UTF-8
// and NUL bytes included.
func TestSameAsTheParser(t *testing.T) {
	t.Parallel()
	for _, format := range []logs.Format{logs.Access, logs.Django, logs.Security} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			lines := append(sourcetest.Corpus(t, format), []byte("\xff\xfe 2026-11-22 19:36:00 Invalid signature from 203.0.113.9 \x00"))
			entries := []journaltest.Entry{{At: noon.Add(-3 * time.Hour), Unit: "other.service", Messages: []string{"oldest"}}}
			at := func(n int) time.Time { return noon.Add(35*time.Minute + time.Duration(n)*time.Second) }
			source := func(n int) time.Time { return at(n).Add(-time.Millisecond) }
			for n, line := range lines {
				entries = append(entries,
					journaltest.Entry{At: at(n), Source: source(n), Unit: unit, Messages: []string{string(line)}},
					journaltest.Entry{At: at(n), Unit: "other.service", Messages: []string{string(line)}})
			}
			dir := written(t, entries...)
			s := open(t, func(c *Config) { c.Format, c.Directory = format, dir })
			got, stats, err := sourcetest.Scan(t, s, query)
			if err != nil {
				t.Fatal(err)
			}
			if format == logs.Access {
				sourcetest.Newest(t, s)
			}
			sourcetest.Same(t, sourcetest.Judged(t, format, lines, source), got, "journal "+unit+" at s=")
			if !stats.Begins.Equal(noon.Add(35*time.Minute)) || stats.Cut || stats.Ends.Before(stats.Begins) {
				t.Errorf("it begins %s and ends %s, cut %v", stats.Begins, stats.Ends, stats.Cut)
			}
			if stats.Matched >= int64(len(lines)) || stats.Matched == 0 || len(stats.Gaps) > 0 {
				t.Errorf("of %d lines: %+v", len(lines), stats)
			}
		})
	}
}

// TestCursorFindsTheLineAgain: a record's name holds what journalctl takes.
func TestCursorFindsTheLineAgain(t *testing.T) {
	t.Parallel()
	const line = "Unauthorized: /api/revalidate/"
	dir := written(t, journaltest.Entry{At: noon.Add(time.Minute), Unit: unit, Messages: []string{line}})
	got, _, err := sourcetest.Scan(t, open(t, func(c *Config) { c.Format, c.Directory = logs.Django, dir }), query)
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	_, cursor, _ := strings.Cut(got[0].Name, " at ")
	out, err := exec.CommandContext(t.Context(), "journalctl", "--directory="+dir, "--output=cat", "--lines=1", "--cursor="+cursor).Output()
	if err != nil || strings.TrimSpace(string(out)) != line {
		t.Errorf("%q, %v", out, err)
	}
}

// TestLongAndSeveral: long messages (which journald compresses), messages of several lines,
// and a field that was written twice.
func TestLongAndSeveral(t *testing.T) {
	t.Parallel()
	at := noon.Add(time.Minute)
	dir := written(t,
		journaltest.Entry{At: at, Unit: unit, Messages: []string{"Unauthorized: /" + strings.Repeat("x", 300_000)}},
		journaltest.Entry{At: at, Unit: unit, Messages: []string{strings.Repeat("\x00\xff", 20_000) + "\nUnauthorized: /b\nat line 3"}},
		journaltest.Entry{At: at, Unit: unit, Messages: []string{"Unauthorized: /c", "Forbidden: /d \xff"}},
		// What would make an expression that backtracks give up.
		journaltest.Entry{At: at, Unit: unit, Messages: []string{strings.Repeat(`%"\"`, 50_000) + `" 200 `}},
	)
	got, stats, err := sourcetest.Scan(t, open(t, func(c *Config) { c.Format, c.Directory = logs.Django, dir }), query)
	if err != nil || len(got) != 4 || len(stats.Gaps) > 0 {
		t.Errorf("%d records, %+v, %v", len(got), stats.Gaps, err)
	}
	_, stats, err = sourcetest.Scan(t, open(t, func(c *Config) { c.Directory = dir }), query)
	if err != nil || len(stats.Gaps) > 0 {
		t.Errorf("an access log of it: %+v, %v", stats.Gaps, err)
	}
}

func TestBeginningIsHonest(t *testing.T) {
	t.Parallel()
	dir := written(t,
		journaltest.Entry{At: noon.Add(10 * time.Minute), Unit: "other.service", Messages: []string{"oldest"}},
		journaltest.Entry{At: noon.Add(20 * time.Minute), Unit: unit, Messages: []string{"first"}})
	in := func(c *Config) { c.Directory = dir }
	if _, stats, err := sourcetest.Scan(t, open(t, in), query); err != nil || !stats.Cut || !stats.Begins.Equal(noon.Add(10*time.Minute)) {
		t.Errorf("files that were rotated away: %+v, %v", stats, err)
	}
	late := query
	late.Window.Since = noon.Add(15 * time.Minute)
	if _, stats, err := sourcetest.Scan(t, open(t, in), late); err != nil || stats.Cut || !stats.Begins.Equal(noon.Add(20*time.Minute)) {
		t.Errorf("a journal that reaches back: %+v, %v", stats, err)
	}
	past := query
	past.Window = audit.Window{Since: noon.Add(19 * time.Minute), Until: noon.Add(25 * time.Minute)}
	dir = written(t,
		journaltest.Entry{At: noon, Unit: unit, Messages: []string{"first"}},
		journaltest.Entry{At: noon.Add(20 * time.Minute), Unit: unit, Messages: []string{"in the window"}},
		journaltest.Entry{At: noon.Add(50 * time.Minute), Unit: unit, Messages: []string{"after it"}})
	if _, stats, err := sourcetest.Scan(t, open(t, in), past); err != nil || !stats.Ends.Equal(noon.Add(20*time.Minute)) {
		t.Errorf("a window of the past: %+v, %v", stats, err)
	}
	if _, stats, err := sourcetest.Scan(t, open(t, func(c *Config) { c.Directory, c.Unit = dir, "nothing" }), query); err == nil || !strings.Contains(err.Error(), "no line of nothing") || !stats.Begins.IsZero() {
		t.Errorf("no such unit: %+v, %v", stats, err)
	}
}

// script is a program that stands in for a journalctl that is not here.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journalctl")
	if err := programtest.Write(path, "#!/bin/sh\n"+text); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	plain = `{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1795374060000000","MESSAGE":"Unauthorized: /a"}`
	other = `{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1795374060000000","MESSAGE":"nothing"}`
)

// TestOldJournalctl: one that cannot search hands out everything, and that is said.
func TestOldJournalctl(t *testing.T) {
	t.Parallel()
	for _, complaint := range []string{"Compiled without pattern matching support", "journalctl: unrecognized option '--grep=x'"} {
		program := script(t, `case "$*" in *--grep=*) echo "`+complaint+`" >&2; exit 1;; esac
echo '`+plain+`'; echo '`+other+`'`)
		got, stats, err := sourcetest.Scan(t, open(t, func(c *Config) { c.Program, c.Format = program, logs.Django }), query)
		if err != nil || len(got) != 1 || stats.Matched != 2 || len(stats.Gaps) != 1 || stats.Gaps[0].Left != audit.Whole || !strings.Contains(stats.Gaps[0].Why, "cannot search") {
			t.Errorf("%d records, %+v, %v", len(got), stats, err)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script string
		says   string
		is     error
	}{
		"no rights":       {`echo "No journal files were opened due to insufficient permissions." >&2; exit 1`, "group systemd-journal", nil},
		"an error":        {`printf 'Failed to open: \033[31mInput/output error\n' >&2; exit 1`, "journalctl failed: Failed to open: [31mInput/output error", nil},
		"a silent error":  {`exit 3`, "run it by hand", nil},
		"something else":  {`echo '{"a":1}'`, "not the journal's JSON", nil},
		"a wrong message": {`echo '{"__REALTIME_TIMESTAMP":"1795374060000000","MESSAGE":{"a":1}}'`, "not the journal's JSON", nil},
		"slow":            {`sleep 60`, "journalctl did not answer in time", context.DeadlineExceeded},
		"nothing":         {`echo '-- No entries --'`, "no line of " + unit, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := script(t, tc.script)
			_, stats, err := sourcetest.Scan(t, open(t, func(c *Config) { c.Program, c.Timeout = program, time.Second }), query)
			var fault *logs.Fault
			if !errors.As(err, &fault) || !strings.Contains(fault.Why, tc.says) || tc.is != nil && !errors.Is(err, tc.is) || !stats.Begins.IsZero() {
				t.Errorf("want %q: %+v, %v", tc.says, stats, err)
			}
		})
	}
	if _, _, err := sourcetest.Scan(t, open(t, func(c *Config) { c.Program = "/nonexistent/journalctl" }), query); err == nil || !strings.Contains(err.Error(), "no journalctl on this machine") {
		t.Errorf("not there: %v", err)
	}
}

// TestPartly: what journalctl says beside its answer is a gap.
func TestPartly(t *testing.T) {
	t.Parallel()
	for says, text := range map[string]string{
		"group systemd-journal": `echo "Hint: You are currently not seeing messages from other users and the system." >&2`,
		"damaged (Journal file": `echo "Journal file /var/log/journal/x/system.journal is truncated, ignoring file." >&2`,
		"longer than 8 MiB":     `head -c 9000000 /dev/zero | tr '\0' x; echo`,
	} {
		program := script(t, text+"\necho '"+plain+"'")
		got, stats, err := sourcetest.Scan(t, open(t, func(c *Config) { c.Program, c.Format = program, logs.Django }), query)
		if err != nil || len(got) != 1 || len(stats.Gaps) != 1 || !strings.Contains(stats.Gaps[0].Why, says) || stats.Gaps[0].Left != audit.Partial {
			t.Errorf("want %q: %d records, %+v, %v", says, len(got), stats.Gaps, err)
		}
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	program := script(t, "while echo '"+plain+"'; do :; done")
	source := open(t, func(c *Config) { c.Program, c.Format = program, logs.Django })
	sourcetest.HandsBack(t, source)
}

func TestNewChecks(t *testing.T) {
	t.Parallel()
	for says, cfg := range map[string]Config{
		"the unit":       {Unit: "-x", Format: logs.Access},
		"a name such as": {Unit: "a b", Format: logs.Access},
		"absolute path":  {Unit: "a", Format: logs.Access, Directory: "x"},
		"unknown format": {Unit: "a", Format: "x"},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}

// FuzzDecode: whatever is printed, nothing breaks, and bytes come out as they went in.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(plain))
	f.Add([]byte(`{"__REALTIME_TIMESTAMP":"1","MESSAGE":[72,255,0]}`))
	f.Add([]byte(`{"__REALTIME_TIMESTAMP":"1","MESSAGE":["a",[1,2]],"_SOURCE_REALTIME_TIMESTAMP":"9"}`))
	f.Add([]byte(`{"__REALTIME_TIMESTAMP":"1","MESSAGE":[[[["x"]]]]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if e, err := decode(line); err == nil && e.at().IsZero() {
			t.Errorf("%q has no time", line)
		}
		text := `{"__REALTIME_TIMESTAMP":"1","MESSAGE":[` + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(line)), ","), "[]") + `]}`
		e, err := decode([]byte(text))
		if err != nil || len(line) > 0 && (len(e.messages) != 1 || !bytes.Equal(e.messages[0], line)) {
			t.Errorf("%q came back as %q, %v", line, e.messages, err)
		}
	})
}

// TestGrepIsTheFilter: the one expression asks for all of the filter's.
func TestGrepIsTheFilter(t *testing.T) {
	t.Parallel()
	want := logs.Prefilter(logs.Access, query)
	if got := grep(logs.Access, query); len(want) != 2 || got != `\A(?=[\s\S]*?(?:`+want[0]+`))(?=[\s\S]*?(?:`+want[1]+`))` {
		t.Errorf("%s", got)
	}
	if got := grep(logs.Security, query); got != logs.Prefilter(logs.Security, query)[0] {
		t.Errorf("%s", got)
	}
}
