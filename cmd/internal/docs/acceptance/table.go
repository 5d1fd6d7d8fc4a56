package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

//go:generate go run . -write

// rowsText is the list of rows; its head explains the form.
//
//go:embed rows.txt
var rowsText string

// row is one thing the guide says that can be held against the program.
type row struct {
	id    string
	guide string // what the guide asks for, in our own words
	rekey string // what rekey does about it
	tests []test // that prove it, by package and name
}

type section struct {
	title string
	rows  []*row
}

// table is the rows with the tests that prove them.
type table []section

// load reads the rows and looks for their proofs in every test of the module. All
// faults are told at once.
func load(root string) (table, error) {
	t, err := parseRows(rowsText)
	if err != nil {
		return nil, err
	}
	claims, err := scan(os.DirFS(root))
	if err != nil {
		return nil, err
	}
	return t, t.prove(claims)
}

// parseRows reads lines "id | what the guide asks for | what rekey does" under lines
// "# title". Blank lines, and lines that begin with "//", are for people.
func parseRows(text string) (table, error) {
	var t table
	seen := map[string]bool{}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch title, is := strings.CutPrefix(line, "# "); {
		case line == "" || strings.HasPrefix(line, "//"):
			continue
		case is:
			t = append(t, section{title: title})
			continue
		}
		cells := strings.Split(line, " | ")
		if len(cells) != 3 || len(t) == 0 {
			return nil, fmt.Errorf("rows.txt:%d: want a title above, and: id | guide | rekey", n+1)
		}
		if seen[cells[0]] {
			return nil, fmt.Errorf("rows.txt:%d: %s is there already", n+1, cells[0])
		}
		seen[cells[0]] = true
		s := &t[len(t)-1]
		s.rows = append(s.rows, &row{id: cells[0], guide: cells[1], rekey: cells[2]})
	}
	return t, nil
}

// prove ties the claims to the rows.
func (t table) prove(claims []claim) error {
	rows := map[string]*row{}
	for _, s := range t {
		for _, r := range s.rows {
			rows[r.id] = r
		}
	}
	var faults []error
	for _, c := range claims {
		r := rows[c.id]
		if r == nil {
			faults = append(faults, fmt.Errorf("%s claims %q, which is no row of the guide", c.where, c.id))
			continue
		}
		r.tests = append(r.tests, c.test)
	}
	for _, s := range t {
		for _, r := range s.rows {
			if len(r.tests) == 0 {
				faults = append(faults, fmt.Errorf("no test proves %s (%s)", r.id, r.guide))
			}
		}
	}
	return errors.Join(faults...)
}

// markdown is the document.
func (t table) markdown() string {
	var b strings.Builder
	rows, tests := 0, map[test]bool{}
	for _, s := range t {
		rows += len(s.rows)
		for _, r := range s.rows {
			for _, p := range r.tests {
				tests[p] = true
			}
		}
	}
	fmt.Fprintf(&b, head, rows, len(tests))
	for _, s := range t {
		fmt.Fprintf(&b, "\n## %s\n\n| row | the guide | rekey | proven by |\n|---|---|---|---|\n", s.title)
		for _, r := range s.rows {
			var proofs []string
			for _, p := range r.tests {
				proofs = append(proofs, fmt.Sprintf("[%s](../%s)", p.name, path.Join(p.dir, p.file)))
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.id, r.guide, r.rekey, strings.Join(proofs, "<br>"))
		}
	}
	return b.String()
}

const head = `# The guide, row by row

Made from the tests by ` + "`make generate`" + `; do not edit. %d rows, proven by %d tests.

Every test named here runs with each ` + "`make ci`" + `, under the race detector, and none may skip itself: a build that passed is one in
which every row below passed. ` + "`make guide`" + ` runs just these tests and prints row, test and result. A test says what
it proves in a line above it, ` + "`// Guide: ID`" + `; the build fails when a row has no test, when a test claims a row that does not exist,
and when this page is old ([the program](../cmd/internal/docs/acceptance/main.go)).
`

// skipped says which folders hold no tests of ours.
func skipped(p string, d fs.DirEntry) bool {
	return d.IsDir() && p != "." && (d.Name() == "testdata" || d.Name() == "vendor" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_"))
}
