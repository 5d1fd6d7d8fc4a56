package logs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/audit"
)

// Files that nobody should write, and somebody will.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	hit := func(n int) string {
		return fmt.Sprintf("203.0.113.66 - - [22/Nov/2026:00:00:%02d +0000] \"GET /%d HTTP/1.1\" 403 1 \"-\" \"-\"", n, n)
	}
	nuls := func(n int) string { return strings.Repeat("\x00", n) }
	for _, test := range []struct {
		name, data string
		want       string
	}{
		{"a line of 10 MB between others", hit(1) + "\n" + strings.Repeat("x", 10<<20) + "\n" + hit(2) + "\n", "/1 /2"},
		{"a line of 10 MB that begins as evidence", hit(1) + strings.Repeat("x", 10<<20) + "\n" + hit(2) + "\n", "/1 /2"},
		{"a line of 10 MB at the end", hit(1) + "\n" + strings.Repeat("x", 10<<20), "/1"},
		{"a hole at the beginning", nuls(3<<20) + hit(1) + "\n" + hit(2) + "\n", "/1 /2"},
		{"a short hole at the beginning", nuls(1000) + hit(1) + "\n" + hit(2) + "\n", "/1 /2"},
		{"a short hole inside", hit(1) + "\n" + nuls(1000) + hit(2) + "\n", "/1 /2"},
		{"invalid UTF-8", hit(1) + "\xff\xfe\n\xc3\x28\n" + hit(2) + "\n", "/1 /2"},
		{"carriage returns", hit(1) + "\r\n" + hit(2) + "\r\n", "/1 /2"},
		{"no end", hit(1) + "\n" + hit(2), "/1 /2"},
		{"empty lines alone", "\n\n\n" + hit(1) + "\n\n", "/1"},
	} {
		for _, name := range []string{"access.log", "access.log.1.gz", "access.log.1.zst"} {
			t.Run(test.name+" in "+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				put(t, filepath.Join(dir, name), packed(t, name, []byte(test.data)))
				if name != "access.log" {
					put(t, filepath.Join(dir, "access.log"), []byte("\n"))
				}
				s, err := OpenSet(t.Context(), SetConfig{Path: filepath.Join(dir, "access.log"), Format: Access})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				got, stats := hear(t, s, Query{})
				var paths []string
				for _, h := range got {
					paths = append(paths, h.Path)
					if !strings.Contains(h.Text, `"GET `+h.Path) {
						t.Errorf("%s is quoted as %q", h.Path, h.Text)
					}
				}
				if strings.Join(paths, " ") != test.want || stats.Truncated {
					t.Errorf("found %q, want %q; %+v", paths, test.want, stats.Gaps)
				}
			})
		}
	}
}

// Whatever is no file neither holds up an audit nor is passed over.
func TestWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.log")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := OpenSet(t.Context(), SetConfig{Path: pipe, Format: Access})
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ErrIrregular) {
			t.Errorf("a pipe is %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a pipe holds up its opening")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("there is no /proc")
	}
	if _, err := Open("/proc/self/status", Access); !errors.Is(err, ErrIrregular) {
		t.Errorf("a file of /proc is %v", err)
	}
}

// What is appended while a log is read is for the next reading, and does not disturb
// this one.
func TestGrowsWhileRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	put(t, path, denials(2000))
	s, err := openSet(t.Context(), SetConfig{Path: path, Format: Access}, sizes{block: 1000, line: 500, tail: 100, budget: 1 << 20, whole: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := 0
	stats, err := s.Scan(t.Context(), Query{}, func(Record) error {
		seen++
		_, err := f.Write(denials(1))
		return err
	})
	if err != nil || seen != 2000 || stats.Truncated || len(stats.Gaps) != 0 {
		t.Errorf("%d records, error %v, stats %+v", seen, err, stats)
	}
}

// An archive that unpacks to far more than itself is read in bounded memory, up to the
// deadline.
func TestAnArchiveOfNothing(t *testing.T) {
	t.Parallel()
	data := append(append(refusals(0, 1), bytes.Repeat([]byte("\n"), 64<<20)...), refusals(1, 1)...)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "access.log.1.gz"), packed(t, "access.log.1.gz", data))
	put(t, filepath.Join(dir, "access.log"), refusals(2, 1))
	s, err := OpenSet(t.Context(), SetConfig{Path: filepath.Join(dir, "access.log"), Format: Access})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, stats := hear(t, s, Query{Window: audit.Window{}})
	if len(got) != 3 || got[1].Place != fmt.Sprintf("access.log.1.gz:%d", 64<<20+2) || len(stats.Gaps) != 0 {
		t.Errorf("%d records, gaps %+v", len(got), stats.Gaps)
	}
}
