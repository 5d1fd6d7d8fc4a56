package layers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// rule is one row of the table.
type rule struct {
	packages []string // may end in /...
	modules  []string // short names
}

// rules is the table, parsed: by package name, which may end in /... .
type rules map[string]rule

// parseTable reads the table; faults are rows that nobody can follow.
func parseTable(table string) (rules, []string) {
	parsed := rules{}
	var faults []string
	for line := range strings.Lines(table) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		if line == "" {
			continue
		}
		name, rest, ok := strings.Cut(line, ":")
		if !ok {
			faults = append(faults, fmt.Sprintf("row %q: write \"package: packages; modules\"", line))
			continue
		}
		if _, twice := parsed[name]; twice {
			faults = append(faults, fmt.Sprintf("row %s: stands twice", name))
		}
		packages, mods, _ := strings.Cut(rest, ";")
		r := rule{packages: strings.Fields(packages), modules: strings.Fields(mods)}
		parsed[name] = r
		for _, p := range r.packages {
			if layer(p) > layer(name) {
				faults = append(faults, fmt.Sprintf("row %s: %s is in a higher layer: imports never climb", name, p))
			}
		}
		for _, m := range r.modules {
			if modules[m] == nil {
				faults = append(faults, fmt.Sprintf("row %s: module %s is not in the list of modules", name, m))
			}
			if home := alone[m]; home != "" && !under(name, home) {
				faults = append(faults, fmt.Sprintf("row %s: module %s belongs to %s alone", name, m, home))
			}
		}
	}
	return parsed, faults
}

// of finds the rule for a package: its own row, else the nearest /... above it.
func (rs rules) of(name string) (rule, bool) {
	if r, ok := rs[name]; ok {
		return r, true
	}
	for dir := name; dir != ""; {
		if r, ok := rs[dir+"/..."]; ok {
			return r, true
		}
		cut := strings.LastIndex(dir, "/")
		dir = dir[:max(cut, 0)]
	}
	return rule{}, false
}

// check holds packages against the rules and answers one sentence per fault.
func (rs rules) check(packages map[string]pkg) []string {
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		r, ok := rs.of(name)
		if !ok {
			faults = append(faults, fmt.Sprintf("%s has no row: add it to the table in cmd/internal/layers, with what it may import", name))
			continue
		}
		p := packages[name]
		for _, path := range slices.Sorted(maps.Keys(p.imports)) {
			if why := r.allows(name, path); why != "" {
				faults = append(faults, fmt.Sprintf("%s: %s may not import %s: %s", p.imports[path], name, path, why))
			}
		}
		for _, path := range slices.Sorted(maps.Keys(p.testImports)) {
			if why := r.allowsTest(name, path); why != "" {
				faults = append(faults, fmt.Sprintf("%s: a test of %s may not import %s: %s", p.testImports[path], name, path, why))
			}
		}
	}
	return faults
}

// allows says why a package may not import path, or "".
func (r rule) allows(name, path string) string {
	if inner, ok := inModule(path); ok {
		switch {
		case servesTests(inner) && !mayServe(name):
			return "it serves tests"
		case !slices.ContainsFunc(r.packages, func(allowed string) bool { return matches(allowed, inner) }):
			return "its row in the table does not say so"
		}
		return ""
	}
	if isStandard(path) {
		if path == "testing" && !mayServe(name) {
			return "only tests do"
		}
		return ""
	}
	m := moduleOf(path)
	switch {
	case m == "":
		return "its module is not in the list of modules"
	case slices.Contains(onlyTests, m) && !mayServe(name):
		return "it is for tests"
	case !slices.Contains(r.modules, m):
		return "its row in the table does not say so"
	}
	return ""
}

// allowsTest is allows for a test file.
func (r rule) allowsTest(name, path string) string {
	if r.allows(name, path) == "" || isStandard(path) {
		return ""
	}
	if inner, ok := inModule(path); ok {
		if inner != name && !servesTests(inner) && layer(inner) > layer(name) {
			return "it is in a higher layer"
		}
		return ""
	}
	m := moduleOf(path)
	if m == "" {
		return "its module is not in the list of modules"
	}
	if home := alone[m]; home != "" && !under(name, home) {
		return fmt.Sprintf("module %s belongs to %s alone", m, home)
	}
	return ""
}

// servesTests reports whether a package exists for tests and for the drill.
func servesTests(name string) bool {
	return strings.HasSuffix(name, "test") || name == "cmd/internal/rehearsal"
}

// mayServe reports whether a package may import those.
func mayServe(name string) bool { return servesTests(name) || name == "cmd/drill" }

// layer numbers a package's folder: 0 is the lowest; -1 is no layer.
func layer(name string) int {
	top, _, _ := strings.Cut(name, "/")
	return slices.Index(order, top)
}

// moduleOf answers the short name of the module a path belongs to, or "".
func moduleOf(path string) string {
	for short, prefixes := range modules {
		for _, prefix := range prefixes {
			if under(path, prefix) {
				return short
			}
		}
	}
	return ""
}

func inModule(path string) (string, bool) { return strings.CutPrefix(path, module+"/") }

// isStandard: the standard library's paths have no dot in their first part.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first != module
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return under(name, prefix)
	}
	return pattern == name
}

func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}
