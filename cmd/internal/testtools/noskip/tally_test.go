package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		events []string
		status error
		ok     bool
		shows  []string
		hides  []string
	}{
		{
			name: "all passed",
			events: []string{
				`{"Action":"start","Package":"p"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"pass","Package":"p","Elapsed":1.5}`,
			},
			ok:    true,
			shows: []string{"ok    p", "1.50s", "1 passed, 0 failed\n"},
			hides: []string{"chatter"},
		},
		{
			name: "a skip is a failure, with its reason",
			events: []string{
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestB","Output":"no database here\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestB"}`,
				`{"Action":"pass","Package":"p"}`,
			},
			shows: []string{"SKIPPED", "p TestB", "no database here", "1 passed, 1 failed\n"},
		},
		{
			name: "a package without test files is no skip",
			events: []string{
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"pass","Package":"p"}`,
				`{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}`,
				`{"Action":"skip","Package":"q"}`,
			},
			ok:    true,
			shows: []string{"-     q", "1 passed, 0 failed\n"},
		},
		{
			name: "a package that did not build",
			events: []string{
				`{"ImportPath":"q","Action":"build-output","Output":"q.go:1: undefined: x\n"}`,
				`{"ImportPath":"q","Action":"build-fail"}`,
				`{"Action":"fail","Package":"q","FailedBuild":"q"}`,
			},
			shows: []string{"undefined: x", "did not build", "0 passed, 1 failed\n"},
		},
		{
			name: "a package that fails although no test does",
			events: []string{
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Output":"leaked goroutine\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			shows: []string{"leaked goroutine", "1 passed, 1 failed\n"},
		},
		{
			name:   "a test binary that was killed",
			events: []string{`{"Action":"run","Package":"p","Test":"TestA"}`},
			shows:  []string{"never ended", "0 passed, 1 failed\n"},
		},
		{
			name:   "nothing ran",
			events: []string{`{"Action":"skip","Package":"q"}`},
			shows:  []string{"no test ran", "0 passed, 0 failed\n"},
		},
		{
			name:   "words that are no event are shown",
			events: []string{`go: cannot find main module`},
			status: errors.New("exit status 1"),
			shows:  []string{"cannot find main module", "go test: exit status 1", "0 passed, 1 failed\n"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			tally := newTally(&out)
			if err := tally.read(strings.NewReader(strings.Join(c.events, "\n"))); err != nil {
				t.Fatal(err)
			}
			if ok := tally.close(c.status); ok != c.ok {
				t.Errorf("well = %v, want %v; printed:\n%s", ok, c.ok, out.String())
			}
			for _, want := range c.shows {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in:\n%s", want, out.String())
				}
			}
			for _, hidden := range c.hides {
				if strings.Contains(out.String(), hidden) {
					t.Errorf("%q shows in:\n%s", hidden, out.String())
				}
			}
		})
	}
}

// The events above are what we believe go test says. This asks the real one.
func TestRunAsksTheRealGoTest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, test string
		ok         bool
		last       string
	}{
		{"pass", `func TestA(t *testing.T) { t.Run("sub", func(t *testing.T) {}) }`, true, "2 passed, 0 failed"},
		{"skip", `func TestA(t *testing.T) { t.Skip("no tool") }`, false, "0 passed, 1 failed"},
		{"fail", `func TestA(t *testing.T) { t.Error("broken") }`, false, "0 passed, 1 failed"},
		{"panic", `func TestA(t *testing.T) { panic("broken") }`, false, "0 passed, 1 failed"},
		{"exit", `func TestMain(m *testing.M) { m.Run(); os.Exit(3) }; func TestA(t *testing.T) {}`, false, "1 passed, 1 failed"},
		{"broken", `func TestA(t *testing.T) { undefined() }`, false, "0 passed, 1 failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			source := "package p\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Exit\n\n" + c.test + "\n"
			for name, text := range map[string]string{"go.mod": "module p\n", "p_test.go": source} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out, problems bytes.Buffer
			ok, err := run(t.Context(), dir, []string{"./..."}, &out, &problems)
			if err != nil {
				t.Fatal(err)
			}
			if ok != c.ok {
				t.Errorf("well = %v, want %v; printed:\n%s", ok, c.ok, out.String())
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if last := lines[len(lines)-1]; last != c.last {
				t.Errorf("closing line %q, want %q; printed:\n%s", last, c.last, out.String())
			}
		})
	}
}
