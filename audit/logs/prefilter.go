package logs

import (
	"strings"
	"time"
)

// Prefilter answers regular expressions all of which match every line that a [Parser] of
// format takes for evidence under q. They are what a log server can do for an audit
// without judging: it leaves out what cannot be evidence, and the parser here judges the
// rest. None means that nothing is known to be safe to leave out, so that every line has
// to be looked at.
//
// Missing a line would be worse than carrying a thousand too many, so a path's spelling is
// taken into account: `/api//%72evalidate/` and `http://x/api/revalidate/` reach the same
// view. For the same reason the expressions use only what RE2, PCRE and Java mean alike,
// ASCII without backslashes, flags, anchors or nested repeats, so that no line, whoever
// wrote it, can make an engine that backtracks give up.
func Prefilter(format Format, q Query) []string {
	switch format {
	case Security:
		return []string{signatureAlike}
	case Django:
		return []string{`Unauthorized: /|Forbidden: /|Forbidden [(]|" 40[13]|` + signatureAlike}
	case Access:
		paths := newGuards(q.Endpoints).alike()
		if len(paths) == 0 {
			return []string{`" 40[13]`}
		}
		return []string{`" (?:2[0-9][0-9]|40[13])`, `" 40[13]|` + strings.Join(paths, "|")}
	}
	needles := newDialect(format, q, time.Time{}).needles
	if needles == nil {
		return nil
	}
	// Nothing in a needle but these means anything else in an expression.
	alike := strings.NewReplacer(`\u`, `.u`, `[`, `.`, `]`, `.`)
	var list []string
	for _, needle := range needles {
		list = append(list, alike.Replace(string(needle)))
	}
	return []string{strings.Join(list, "|")}
}

// signatureAlike is phrase with its first letter.
const signatureAlike = `[Ii]nvalid signature`

// alike are expressions one of which matches every request target, in whatever spelling,
// that canonical makes a guarded path: the path itself, or what canonical resolves
// (escapes, doubled slashes, dots). The slashes after a scheme, which stand in almost every
// referrer, are left out where no path holds a colon: canonical drops them.
func (g guards) alike() []string {
	if len(g.paths) == 0 {
		return nil
	}
	var list []string
	slashes := `[^:]//`
	for _, p := range g.paths {
		list = append(list, plainest(p))
		if strings.Contains(p, ":") {
			slashes = `//`
		}
	}
	return append(list, `%`, slashes, `/[.]`)
}

// plainest is the longest part of path that means itself in every regular expression.
func plainest(path string) string {
	best := ""
	for _, part := range strings.FieldsFunc(path, func(r rune) bool {
		return r != '/' && r != '_' && r != '~' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		if len(part) > len(best) {
			best = part
		}
	}
	return best
}
