package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// test is a test function.
type test struct {
	dir, file, name string
}

// claim is a test's word that it proves a row.
type claim struct {
	id    string
	test  test
	where string // file:line
}

// mark begins a line of claims.
const mark = "// Guide:"

// scan finds the claims of every *_test.go below root, ordered by file and line. A mark
// that is not in the comment right above a test is an error: it would claim nothing.
func scan(root fs.FS) ([]claim, error) {
	var claims []claim
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case skipped(p, d):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, "_test.go"):
			return nil
		}
		src, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		found, err := scanFile(p, src)
		claims = append(claims, found...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for claims: %w", err)
	}
	slices.SortStableFunc(claims, func(a, b claim) int {
		return cmp.Or(strings.Compare(a.test.dir, b.test.dir), strings.Compare(a.test.file, b.test.file))
	})
	return claims, nil
}

func scanFile(p string, src []byte) ([]claim, error) {
	if !strings.Contains(string(src), mark) {
		return nil, nil
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, p, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	names := map[*ast.CommentGroup]string{} // a test's own comment
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Doc != nil && f.Recv == nil &&
			(strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
			names[f.Doc] = f.Name.Name
		}
	}
	var claims []claim
	for _, group := range file.Comments {
		for _, line := range group.List {
			ids, is := strings.CutPrefix(line.Text, mark)
			if !is {
				continue
			}
			where := fmt.Sprintf("%s:%d", p, set.Position(line.Pos()).Line)
			name, above := names[group]
			if !above {
				return nil, fmt.Errorf("%s: %q is not right above a test", where, line.Text)
			}
			for id := range strings.SplitSeq(ids, ",") {
				claims = append(claims, claim{
					id: strings.TrimSpace(id), where: where,
					test: test{dir: path.Dir(p), file: path.Base(p), name: name},
				})
			}
		}
	}
	return claims, nil
}
