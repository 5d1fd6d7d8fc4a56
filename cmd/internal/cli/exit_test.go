package cli

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rekey/audit/ledger"
	"rekey/commands"
)

// The table has every constant, and no number twice.
func TestTheTableOfExitCodesIsWhole(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "exit.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var constants []int
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Exit") || len(spec.Values) == 0 {
			return true
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		code, err := strconv.Atoi(lit.Value)
		if err != nil {
			t.Fatalf("%s is %s", spec.Names[0], lit.Value)
		}
		constants = append(constants, code)
		return true
	})
	var table []int
	for _, e := range Exits() {
		table = append(table, e.Code)
	}
	if !slices.Equal(constants, table) {
		t.Errorf("the constants are %v, the table has %v", constants, table)
	}
	if !slices.IsSorted(table) || len(slices.Compact(slices.Clone(table))) != len(table) {
		t.Errorf("the table is out of order, or has a number twice: %v", table)
	}
}

// Every code of the table is met in reality: by a script, or by a test that is named
// here because no script can bring the situation about.
func TestEveryExitCodeIsMet(t *testing.T) {
	t.Parallel()
	elsewhere := map[int]string{
		ExitUnknown: "TestErrorsHaveWords",
		ExitStopped: "TestCtrlCLosesNothing",
	}
	scripts, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	met := map[int]bool{}
	exits := regexp.MustCompile(`(?m)^exits (\d+) rekey`)
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range exits.FindAllSubmatch(text, -1) {
			code, err := strconv.Atoi(string(m[1]))
			if err != nil {
				t.Fatal(err)
			}
			met[code] = true
		}
	}
	for _, e := range Exits() {
		if !met[e.Code] && elsewhere[e.Code] == "" {
			t.Errorf("no script ends with %d (%s)", e.Code, e.Meaning)
		}
		delete(met, e.Code)
	}
	for code := range met {
		t.Errorf("a script ends with %d, which is not in the table", code)
	}
}

func TestErrorsHaveWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		code int
		text string
	}{
		{fmt.Errorf("recording: %w", ledger.ErrNotStarted), ExitInternal, "nothing was started"},
		{fmt.Errorf("recording: %w", ledger.ErrUnknownOutcome), ExitUnknown, "did not say in time"},
		{fmt.Errorf("recording: %w", ledger.ErrBroken), ExitBroken, "nothing was started"},
		{fmt.Errorf("reading: %w", context.Canceled), ExitStopped, "stopped"},
		{&commands.UsageError{Problem: "Which?", Try: "/rotate NAME"}, ExitUsage, "Which?"},
		{errors.New("connecting:\n\ta: refused\n\ta: refused"), ExitInternal, "connecting: a: refused."},
	} {
		f := classify(c.err)
		if f.code != c.code || !strings.Contains(f.text, c.text) {
			t.Errorf("%v: code %d and %q, want %d and %q", c.err, f.code, f.text, c.code, c.text)
		}
	}
}
