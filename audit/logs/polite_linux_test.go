package logs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// threadsThatStandBack counts the threads of this process at a reader's priority.
func threadsThatStandBack(t *testing.T) int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("%d threads, error %v", len(tasks), err)
	}
	n := 0
	for _, task := range tasks {
		stat, err := os.ReadFile(task)
		if err != nil {
			continue // it ended
		}
		// What follows the name in parentheses; the niceness is field 19 of all.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if fields[16] == "10" {
			n++
		}
	}
	return n
}

// Only threads that read stand back, and they end with the reading: a thread that lived
// on would run other goroutines at its priority. Not parallel: other tests read, too.
func TestOnlyReadersStandBack(t *testing.T) { //nolint:paralleltest // see above
	l := openData(t, t.TempDir(), denials(20_000), Access, &sizes{block: 4 << 10, line: 500, tail: 100, budget: 1 << 20, whole: 1 << 40})
	defer func() { _ = l.Close() }()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "access.log"), denials(2000))
	s, err := OpenSet(t.Context(), SetConfig{Path: filepath.Join(dir, "access.log"), Format: Access})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 5 {
		most := 0
		if _, err := l.Scan(t.Context(), Query{Workers: 2}, func(Record) error {
			if most == 0 {
				most = max(most, threadsThatStandBack(t))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if most == 0 {
			t.Fatal("no thread stood back during the scan")
		}
		most = 0
		if _, err := s.Lines(t.Context(), Query{}, func(Line) error {
			if most == 0 {
				most = threadsThatStandBack(t)
			}
			return nil
		}); err != nil || most == 0 {
			t.Fatalf("%d threads stood back while lines were read, error %v", most, err)
		}
	}
	func() {
		defer func() {
			if recover() != "the caller's" {
				t.Error("a panic of yield did not reach the caller")
			}
		}()
		_, _ = s.Lines(t.Context(), Query{}, func(Line) error { panic("the caller's") })
	}()
	for deadline := time.Now().Add(10 * time.Second); threadsThatStandBack(t) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d threads still stand back", threadsThatStandBack(t))
		}
	}
}
