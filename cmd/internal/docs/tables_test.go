package docs

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"rekey/cmd/internal/cli"
	"rekey/cmd/internal/config"
)

var update = flag.Bool("update", false, "write the generated tables into the documents")

// Tables in the documents that repeat what the code says are made from the code:
// they stand between <!-- NAME --> and <!-- /NAME -->, and this test fails when they
// are old. `go test ./cmd/internal/docs -update` writes them.
func TestTablesSayWhatTheCodeSays(t *testing.T) {
	t.Parallel()
	tables := map[string]string{"settings": settings(), "exit codes": exitCodes()}
	for _, file := range []string{"README.md", "docs/operating.md"} {
		text, err := os.ReadFile("../../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		want := string(text)
		for name, table := range tables {
			want = between(want, name, table)
		}
		if want == string(text) {
			continue
		}
		if !*update {
			t.Errorf("a table in %s is old; run: go test ./cmd/internal/docs -update", file)
			continue
		}
		if err := os.WriteFile("../../../"+file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// between puts table between the marks of that name; a document without them has no
// such table.
func between(text, name, table string) string {
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	before, rest, found := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return text
	}
	return before + begin + table + end + after
}

func settings() string {
	var b strings.Builder
	b.WriteString("| setting | what it is | default |\n|---|---|---|\n")
	for _, v := range config.Variables() {
		meaning, otherwise := v.Meaning, v.Default
		if v.Secret {
			meaning += " (*secret*)"
		}
		if otherwise != "" {
			otherwise = "`" + otherwise + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, meaning, otherwise)
	}
	return b.String()
}

func exitCodes() string {
	var b strings.Builder
	b.WriteString("| code | meaning |\n|---|---|\n")
	for _, e := range cli.Exits() {
		fmt.Fprintf(&b, "| %d | %s |\n", e.Code, e.Meaning)
	}
	return b.String()
}
