package loki

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"rekey/audit/logs"
)

var (
	matcher = regexp.MustCompile("^\\s*([a-zA-Z_][a-zA-Z0-9_]*)\\s*(=~|!~|!=|=)\\s*(\"(?:[^\"\\\\\n]|\\\\.)*\"|`[^`]*`)\\s*")

	errSelector = errors.New(`the selector must be label matchers in braces: {app="leather-api", env="production"}`)
	errNoLabel  = errors.New(`the selector must name at least one label that has a value: {app="leather-api"}`)
)

// CheckSelector reports whether text is a stream selector, and nothing more: what follows
// it in a query is built here, so nothing in it may end it early. As Loki wants it, at least
// one matcher must refuse a stream without labels.
func CheckSelector(text string) error {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "{")
	if !ok || !utf8.ValidString(text) || strings.ContainsRune(text, 0) || strings.ContainsRune(text, '\ufeff') {
		return errSelector
	}
	selects := false
	for {
		m := matcher.FindStringSubmatch(rest)
		if m == nil {
			return errSelector
		}
		value, err := strconv.Unquote(m[3])
		if err != nil {
			return errSelector
		}
		switch m[2] {
		case "=":
			selects = selects || value != ""
		case "=~", "!~":
			re, err := regexp.Compile("^(?s:" + value + ")$")
			if err != nil {
				return errSelector
			}
			selects = selects || m[2] == "=~" && !re.MatchString("")
		}
		rest = rest[len(m[0]):]
		if next, ok := strings.CutPrefix(rest, ","); ok {
			rest = next
			continue
		}
		break
	}
	switch {
	case rest != "}":
		return errSelector
	case !selects:
		return errNoLabel
	}
	return nil
}

// lineFilters is what Loki applies before it sends, in LogQL.
func lineFilters(format logs.Format, q logs.Query) string {
	var b strings.Builder
	for _, pattern := range logs.Prefilter(format, q) {
		b.WriteString(" |~ ")
		b.WriteString(quoted(pattern))
	}
	return b.String()
}

// quoted is a string of LogQL, whose strings are Go's. Double quotes are always possible;
// ASCII keeps it the same through every proxy.
func quoted(s string) string { return strconv.QuoteToASCII(s) }
