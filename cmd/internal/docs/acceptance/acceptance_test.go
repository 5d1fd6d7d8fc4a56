package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTheDocumentIsWhatTheTestsProve is the strict half of the build: every row has a
// test, every claim has a row, the page is up to date.
func TestTheDocumentIsWhatTheTestsProve(t *testing.T) {
	t.Parallel()
	if err := do(t.Context(), false, false); err != nil {
		t.Error(err)
	}
}

const twoRows = "# Title\n// for people\na/one | asks | does\na/two | asks | does\n"

func tree(source string) fstest.MapFS {
	return fstest.MapFS{
		"x/x_test.go":            {Data: []byte("package x\n\n" + source)},
		"x/testdata/bad_test.go": {Data: []byte("// Guide: nothing\n")},
		"x/x.go":                 {Data: []byte("package x\n// Guide: a/one\nfunc TestX() {}\n")},
	}
}

func TestClaimsAreFoundAndHeldAgainstTheRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ source, wrong string }{
		"all proven":        {"// Words.\n//\n// Guide: a/one, a/two\nfunc TestX(t *testing.T) {}", ""},
		"by two":            {"// Guide: a/one\nfunc TestX(t *testing.T) {}\n\n// Guide: a/two\nfunc FuzzY(f *testing.F) {}", ""},
		"two lines":         {"// Guide: a/one\n// Guide: a/two\nfunc TestX(t *testing.T) {}", ""},
		"a row without":     {"// Guide: a/one\nfunc TestX(t *testing.T) {}", "no test proves a/two"},
		"an unknown row":    {"// Guide: a/one, a/two, a/three\nfunc TestX(t *testing.T) {}", `x/x_test.go:3 claims "a/three"`},
		"an empty claim":    {"// Guide: a/one, a/two,\nfunc TestX(t *testing.T) {}", `claims ""`},
		"not above a test":  {"// Guide: a/one, a/two\nfunc helper() {}", "not right above a test"},
		"a line in between": {"// Guide: a/one, a/two\n\nfunc TestX(t *testing.T) {}", "not right above a test"},
		"inside a test":     {"func TestX(t *testing.T) {\n\t// Guide: a/one, a/two\n}", "not right above a test"},
		"no claim":          {"func TestX(t *testing.T) {}", "no test proves a/one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, err := parseRows(twoRows)
			if err != nil {
				t.Fatal(err)
			}
			claims, err := scan(tree(c.source))
			if err == nil {
				err = rows.prove(claims)
			}
			switch {
			case c.wrong == "" && err != nil:
				t.Error(err)
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
				t.Errorf("got %v, want %q", err, c.wrong)
			}
		})
	}
}

func TestRowsOfAnotherFormAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a/one | asks | does", "# T\na/one | asks", "# T\na | b | c\na | b | c", "# T\na | b | c | d"} {
		if _, err := parseRows(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestAResultIsATestsOwn runs the real go test over a module with a test that passes,
// one that fails and one that is not there.
func TestAResultIsATestsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module m\n\ngo 1.26\n",
		"x/x_test.go": "package x\n\nimport \"testing\"\n\nfunc TestGood(*testing.T) {}\nfunc TestBad(t *testing.T) { t.Fail() }\nfunc TestGoodToo(t *testing.T) { t.Fail() }\n",
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	proof := func(name string) []test { return []test{{dir: "x", file: "x_test.go", name: name}} }
	rows := table{{title: "T", rows: []*row{{id: "a", tests: proof("TestGood")}, {id: "b", tests: proof("TestBad")}, {id: "c", tests: proof("TestGone")}}}}
	var out bytes.Buffer
	if err := rows.run(t.Context(), dir, &out); err == nil || !strings.Contains(err.Error(), "2 results") {
		t.Errorf("got %v, want two that are not a pass", err)
	}
	got := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"a passed in", "b fail x.TestBad", "c did not run x.TestGone"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
}
