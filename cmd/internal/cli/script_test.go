package cli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"rekey/audit/ledger/ledgertest"
	"rekey/cmd/internal/rehearsal"
)

// patience is how long a script waits for what must happen. Only a failing test
// spends it.
const patience = 60 * time.Second

// Scripts that need nothing but the program.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", Cmds: verbs(), RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("REKEY_HEALTH_ADDR", "off")
			return nil
		},
	})
}

// Scripts that are played in an estate, on both databases.
func TestEstateScripts(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) string{
		"sqlite":   func(testing.TB) string { return "" },
		"postgres": ledgertest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, "testdata/estate", database)
		})
	}
}

// Scripts about what only SQLite has: one process that works, and files.
func TestSQLiteScripts(t *testing.T) {
	t.Parallel()
	play(t, "testdata/sqlite", func(testing.TB) string { return "" })
}

// Scripts about a database that is somewhere else.
func TestPostgresScripts(t *testing.T) {
	t.Parallel()
	play(t, "testdata/postgres", ledgertest.Postgres)
}

// inWorld is the key of the world a script is played in.
type inWorld struct{}

func play(t *testing.T, dir string, database func(testing.TB) string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir: dir, Cmds: verbs(), RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			cfg := rehearsal.Config{Dir: e.WorkDir, DatabaseURL: database(t)}
			cfg.Estate.SpreadFrom, cfg.Estate.SpreadTo = 30*time.Millisecond, 150*time.Millisecond
			_, err := os.Stat(filepath.Join(e.WorkDir, "usage")) // such a script has the file
			cfg.Usage = err == nil
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			w, err := rehearsal.Build(ctx, cfg)
			if err != nil {
				return fmt.Errorf("building the world: %w", err)
			}
			e.Defer(func() {
				if err := w.Close(); err != nil {
					t.Errorf("ending the world: %v", err)
				}
			})
			e.Values[inWorld{}] = w
			for _, kv := range w.Environ() {
				if name, value, _ := strings.Cut(kv, "="); w.Getenv(name) != "" {
					e.Setenv(name, value)
				}
			}
			return nil
		},
	})
}

// verbs are the commands that scripts have beside testscript's own.
func verbs() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits":    exits,
		"fit":      func(ts *testscript.TestScript, _ bool, _ []string) { mustBeFit(ts) },
		"says":     says,
		"json":     isJSON,
		"slack":    slack,
		"retired":  retired,
		"logged":   logged,
		"edit":     edit,
		"number":   number,
		"sql":      tamper,
		"until":    until,
		"attack":   attack,
		"freeport": freePort,
		"breaks":   breaks,
		"left":     leftBehind,
		"again":    again,
	}
}

// exits CODE PROGRAM ARGS…: runs it and holds it to its exit code. What it says has to
// be fit for people, and may hold no value.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	mustBeFit(ts)
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// fault begins a fault of the catalogue or of a variable.
var fault = regexp.MustCompile(`^(\S+:\d+|[A-Z_]+|\S+\.yaml): `)

// mustBeFit checks the output of the last program.
func mustBeFit(ts *testscript.TestScript) {
	out, problems := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	for _, word := range []string{"goroutine ", "panic:", "/rotate", "/audit-secret", "<#", "%!"} {
		if strings.Contains(out+problems, word) {
			ts.Fatalf("the output holds %q", word)
		}
	}
	for _, begin := range []string{"{", "[", "kind,at,", "# Evidence"} {
		if strings.HasPrefix(out, begin) {
			out = "" // for machines, or a document
		}
	}
	for line := range strings.Lines(out + problems) {
		line = strings.TrimRight(line, " \n")
		if fault.MatchString(line) || strings.HasPrefix(line, "{") {
			continue // one a line: faults in files, log records
		}
		if utf8.RuneCountInString(line) > 80 && strings.Contains(strings.TrimSpace(line), " ") {
			ts.Fatalf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
	w, ok := ts.Value(inWorld{}).(*rehearsal.World)
	if !ok {
		return
	}
	out, problems = ts.ReadFile("stdout"), ts.ReadFile("stderr")
	for _, v := range values(w) {
		if strings.Contains(out, v) || strings.Contains(problems, v) {
			ts.Fatalf("the output holds a secret value")
		}
	}
}

// says TEXT…: the last output, of either kind, holds the texts, wherever lines were
// broken.
func says(ts *testscript.TestScript, neg bool, args []string) {
	all := strings.Join(strings.Fields(ts.ReadFile("stdout")+" "+ts.ReadFile("stderr")), " ")
	for _, text := range args {
		if strings.Contains(all, text) == neg {
			ts.Fatalf("the output holds %q: %v", text, neg)
		}
	}
}

// retired NAME: both services hold one value of it, another than at first.
func retired(ts *testscript.TestScript, neg bool, args []string) {
	w := world(ts)
	now := inFiles(w, args[0])
	changed := len(now) == 2 && now[0] == now[1] && now[0] != w.Estate.Values()[args[0]].Reveal()
	if changed == neg {
		ts.Fatalf("%s: the services hold %d values; changed and alone: %v", args[0], len(now), changed)
	}
}

// logged NAME: the service wrote the first value of it into its log, just now.
func logged(ts *testscript.TestScript, _ bool, args []string) {
	w := world(ts)
	f, err := os.OpenFile(w.Estate.Log("django"), os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = fmt.Fprintf(f, "DEBUG %s settings %s=%s\n", time.Now().UTC().Format("2006-01-02 15:04:05,000"), args[0], w.Estate.Values()[args[0]].Reveal())
	ts.Check(err)
	ts.Check(f.Close())
}

func world(ts *testscript.TestScript) *rehearsal.World {
	w, ok := ts.Value(inWorld{}).(*rehearsal.World)
	if !ok {
		ts.Fatalf("this script is not played in an estate")
	}
	return w
}

// until TEXT PROGRAM ARGS…: runs it again and again until its output holds the text.
func until(ts *testscript.TestScript, neg bool, args []string) {
	wait(ts, args[0], func() bool {
		err := ts.Exec(args[1], args[2:]...)
		return err == nil && strings.Contains(ts.ReadFile("stdout"), args[0]) != neg
	})
}

// number PREFIX VARIABLE: keeps the number of the first run of that kind that the last
// output names.
func number(ts *testscript.TestScript, _ bool, args []string) {
	id := regexp.MustCompile(regexp.QuoteMeta(args[0]) + `[0-9]{8}-[0-9]{6}-[0-9a-z]+`).FindString(ts.ReadFile("stdout") + ts.ReadFile("stderr"))
	if id == "" {
		ts.Fatalf("no number of a run begins with %s", args[0])
	}
	ts.Setenv(args[1], id)
}

// edit FILE OLD NEW: replaces a text in a file, which must be there. \n in NEW begins a line.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	before, err := os.ReadFile(name)
	ts.Check(err)
	after := strings.ReplaceAll(string(before), args[1], strings.ReplaceAll(args[2], `\n`, "\n"))
	if after == string(before) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(name, []byte(after), 0o600))
}
