package layers

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// module is the path in go.mod.
const module = "rekey"

// pkg is what the files of one folder import; each path with the place of one
// import of it, "audit/audit.go:12".
type pkg struct {
	imports     map[string]string
	testImports map[string]string
}

// scan reads the imports of every Go file of the module, whatever operating
// system or build tag it is for: a wrong arrow behind a tag is as wrong.
func scan(root fs.FS) (map[string]pkg, error) {
	packages := map[string]pkg{}
	err := fs.WalkDir(root, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if name == "testdata" || file != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		return read(root, file, packages)
	})
	return packages, err
}

func read(root fs.FS, file string, packages map[string]pkg) error {
	source, err := fs.ReadFile(root, file)
	if err != nil {
		return err
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, source, parser.ImportsOnly)
	if err != nil {
		return err
	}
	dir := path.Dir(file)
	p, ok := packages[dir]
	if !ok {
		p = pkg{imports: map[string]string{}, testImports: map[string]string{}}
		packages[dir] = p
	}
	into := p.imports
	if strings.HasSuffix(file, "_test.go") {
		into = p.testImports
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if into[imported] == "" {
			into[imported] = fmt.Sprintf("%s:%d", file, set.Position(spec.Pos()).Line)
		}
	}
	return nil
}

// closure answers how main comes to each package of the module it is built from:
// "cmd/rekey → cmd/internal/app → bot".
func closure(packages map[string]pkg, main string) map[string]string {
	ways := map[string]string{main: main}
	for queue := []string{main}; len(queue) > 0; queue = queue[1:] {
		for imported := range packages[queue[0]].imports {
			inner, ok := inModule(imported)
			if _, seen := ways[inner]; !ok || seen {
				continue
			}
			ways[inner] = ways[queue[0]] + " → " + inner
			queue = append(queue, inner)
		}
	}
	return ways
}
