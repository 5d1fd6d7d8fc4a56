package layers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheTableNeverClimbs(t *testing.T) {
	t.Parallel()
	_, faults := parseTable(table)
	for _, fault := range faults {
		t.Error(fault)
	}
}

func TestEveryImportIsInTheTable(t *testing.T) {
	t.Parallel()
	rs, _ := parseTable(table)
	for _, fault := range rs.check(scanModule(t)) {
		t.Error(fault)
	}
}

func TestTheProductionProgramHasNothingThatServesTests(t *testing.T) {
	t.Parallel()
	for name, way := range closure(scanModule(t), "cmd/rekey") {
		if servesTests(name) {
			t.Errorf("cmd/rekey is built with %s: %s", name, way)
		}
	}
}

// scanModule scans the module this file is in.
func scanModule(t *testing.T) map[string]pkg {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(root, "go.mod")); err != nil || !strings.HasPrefix(string(text), "module "+module+"\n") {
		t.Fatalf("%s is not the root of module %s (%v)", root, module, err)
	}
	packages, err := scan(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 5 {
		t.Fatalf("only %d packages found in %s: the scan is broken", len(packages), root)
	}
	return packages
}

// The tests above are worth what their checks can find.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // part of the only fault; "" for none
	}{
		{"nothing wrong", map[string]string{"commands/rotate/a.go": `import "rekey/audit/ledger"`}, ""},
		{"a new package", map[string]string{"commands/vault/a.go": `import "os"`}, "commands/vault has no row: add it to the table"},
		{"a climbing import", map[string]string{"audit/a.go": `import "rekey/commands"`}, "audit/a.go:3: audit may not import rekey/commands"},
		{"an arrow that is not in the table", map[string]string{"commands/secret/a.go": `import "rekey/commands/store"`}, "its row in the table does not say so"},
		{"a module that is not in the row", map[string]string{"commands/rotate/a.go": `import "github.com/slack-go/slack"`}, "its row in the table does not say so"},
		{"a module's inner package", map[string]string{"commands/jobs/a.go": `import "github.com/riverqueue/river/rivertype"`}, ""},
		{"an unknown module", map[string]string{"audit/a_test.go": `import "example.com/x"`}, "not in the list of modules"},
		{"behind a build tag", map[string]string{"audit/a_windows.go": `import "rekey/bot"`}, "audit may not import rekey/bot"},
		{"a stand-in in production code", map[string]string{"bot/a.go": `import "rekey/bot/bottest"`}, "it serves tests"},
		{"a stand-in in a test", map[string]string{"bot/a_test.go": `import "rekey/bot/bottest"`}, ""},
		{"a stand-in in the drill's packages", map[string]string{"cmd/internal/rehearsal/a.go": `import "rekey/bot/bottest"`}, ""},
		{"testing in production code", map[string]string{"bot/a.go": `import "testing"`}, "only tests do"},
		{"a test library in production code", map[string]string{"bot/a.go": `import "pgregory.net/rapid"`}, "it is for tests"},
		{"a test that climbs", map[string]string{"audit/a_test.go": `import "rekey/bot/render"`}, "it is in a higher layer"},
		{"a test with another package's module", map[string]string{"bot/a_test.go": `import "github.com/riverqueue/river"`}, "belongs to commands/jobs alone"},
		{"a test beside its layer", map[string]string{"commands/jobs/a_test.go": `import "rekey/audit/ledger/sqlite"`}, ""},
		{"a row with dots", map[string]string{"cmd/internal/testtools/x/a.go": `import "os"`}, ""},
		{"test data", map[string]string{"audit/testdata/a.go": `import "rekey/bot"`, "audit/a.go": ``}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tree := fstest.MapFS{}
			for name, imports := range c.files {
				tree[name] = &fstest.MapFile{Data: []byte("package p\n\n" + imports + "\n")}
			}
			packages, err := scan(tree)
			if err != nil {
				t.Fatal(err)
			}
			rs, _ := parseTable(table)
			faults := rs.check(packages)
			switch {
			case c.want == "" && len(faults) > 0:
				t.Errorf("faults where none are: %q", faults)
			case c.want != "" && (len(faults) != 1 || !strings.Contains(faults[0], c.want)):
				t.Errorf("faults %q, want one with %q", faults, c.want)
			}
		})
	}
}

func TestParseTableRefuses(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]string{
		"audit: bot":           "never climb",
		"bot: ; leftpad":       "not in the list of modules",
		"bot: ; river":         "belongs to commands/jobs alone",
		"bot commands":         "write",
		"audit:\naudit: ":      "stands twice",
		"commands: bot/...":    "never climb",
		"commands/jobs: ; sys": "",
	} {
		_, faults := parseTable(row)
		if want == "" && len(faults) > 0 || want != "" && (len(faults) != 1 || !strings.Contains(faults[0], want)) {
			t.Errorf("row %q: faults %q, want one with %q", row, faults, want)
		}
	}
}

func TestClosureFindsTheWay(t *testing.T) {
	t.Parallel()
	packages, err := scan(fstest.MapFS{
		"cmd/rekey/main.go":       {Data: []byte("package main\nimport _ \"rekey/cmd/internal/app\"\n")},
		"cmd/internal/app/app.go": {Data: []byte("package app\nimport _ \"rekey/bot/bottest\"\n")},
		"bot/bottest/slack.go":    {Data: []byte("package bottest\nimport _ \"os\"\n")},
		"bot/bottest/own_test.go": {Data: []byte("package bottest\nimport _ \"rekey/bot\"\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	ways := closure(packages, "cmd/rekey")
	if got, want := ways["bot/bottest"], "cmd/rekey → cmd/internal/app → bot/bottest"; got != want {
		t.Errorf("the way to bot/bottest is %q, want %q", got, want)
	}
	if _, ok := ways["bot"]; ok {
		t.Error("an import of a test file counts as built in")
	}
}
