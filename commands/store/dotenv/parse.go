package dotenv

import (
	"bytes"
	"fmt"
	"strings"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// document is a parsed file. Statements keep their offsets, so that an edit can
// leave every other byte alone.
type document struct {
	text []byte
	// assignments of the variables asked for, in the order of the file.
	assignments []assignment
	// buried is the first line that assigns a wanted variable to a loader that reads
	// line by line, but lies inside a quoted value to the others; 0 for none.
	buried, buriedIn int
	buriedName       string
}

// assignment is one statement NAME=value. Offsets are into document.text.
type assignment struct {
	name       string
	line       int // of its start, from 1
	start, end int // the whole statement with its line ending
	nameAt     int // start..nameAt is indentation and "export"
	from, to   int // the value with its quotes
	style      style
	value      string
	fault      string // why loaders disagree about it; "" when they agree
}

// ending answers the line ending of the statement, "" at the end of a file without
// one.
func (a assignment) ending(text []byte) string {
	s := text[a.start:a.end]
	return string(s[len(bytes.TrimRight(s, "\r\n")):])
}

// value answers what the last assignment of name says.
func (d document) value(name string) (v secret.Value, found bool, err error) {
	for _, a := range d.assignments {
		if a.name != name {
			continue
		}
		found, err, v = true, nil, secret.NewValue(a.value)
		if a.fault != "" {
			err = fmt.Errorf("the value of %s in line %d is %w: %s", name, a.line, store.ErrAmbiguous, a.fault)
		}
	}
	return v, found, err
}

// hidden reports a wanted variable inside another one's quoted value.
func (d document) hidden() error {
	if d.buried == 0 {
		return nil
	}
	return fmt.Errorf("%s in line %d is %w: some loaders take it for a part of the quoted value that begins in line %d; close that quote or move the variable up",
		d.buriedName, d.buried, store.ErrAmbiguous, d.buriedIn)
}

// parse reads text as python-dotenv does, which is the most careful grammar of the
// three, and notes where the others would see something else.
func parse(text []byte, names ...string) document {
	d := document{text: text}
	line := 1
	for at := 0; at < len(text); {
		a, end := statement(text, at)
		a.line = line
		span := text[at:end]
		lines := countLines(span)
		switch {
		case wanted(a.name, names):
			d.assignments = append(d.assignments, a)
		case lines > 1:
			d.search(span, line, names)
		}
		line += lines
		at = end
	}
	return d
}

// search looks for wanted assignments among the second and later lines of a quoted
// value.
func (d *document) search(span []byte, line int, names []string) {
	for at, n := lineEnd(span, 0), line+1; at < len(span); n++ {
		a, _ := statement(span, at)
		if d.buried == 0 && wanted(a.name, names) {
			d.buried, d.buriedIn, d.buriedName = n, line, a.name
		}
		at = lineEnd(span, at)
	}
}

func wanted(name string, names []string) bool {
	for _, n := range names {
		if n != "" && n == name {
			return true
		}
	}
	return false
}

// statement reads the statement that begins at start and answers where it ends. A
// comment, an empty line or a line that is no assignment has no name.
func statement(text []byte, start int) (assignment, int) {
	a := assignment{start: start}
	at := skipBlanks(text, start)
	if rest := text[at:]; bytes.HasPrefix(rest, []byte("export")) {
		if next := skipBlanks(text, at+6); next > at+6 {
			at = next
		}
	}
	nameAt := at
	for at < len(text) && isNameByte(text[at]) {
		at++
	}
	name := string(text[nameAt:at])
	at = skipBlanks(text, at)
	if name == "" || at >= len(text) || text[at] != '=' {
		return a, lineEnd(text, start)
	}
	a.name, a.nameAt = name, nameAt
	a.from = skipBlanks(text, at+1)
	a.to, a.end = a.from, lineEnd(text, a.from)
	if a.from < len(text) {
		switch q := style(text[a.from]); q {
		case single, double, backtick:
			if quoted(text, &a, q) {
				a.decode(text)
				return a, a.end
			}
			a.fault = "its quote is not closed, or something follows it; close it and put a comment after a space"
		}
	}
	unquoted(text, &a)
	if a.from == a.to { // "X=   ": a value written here follows the = at once
		a.from, a.to = at+1, at+1
	}
	if a.fault == "" {
		a.decode(text)
	}
	return a, a.end
}

// quoted sets the bounds of a quoted value, which may span lines; false when the
// quote is not closed or is followed by more than a comment.
func quoted(text []byte, a *assignment, q style) bool {
	at := a.from + 1
	for at < len(text) && text[at] != byte(q) {
		if text[at] == '\\' && at+1 < len(text) && text[at+1] == byte(q) {
			at++
		}
		at++
	}
	if at >= len(text) {
		return false
	}
	end := lineEnd(text, at)
	if tail := bytes.TrimLeft(text[at+1:end], " \t"); len(bytes.Trim(tail, "\r\n")) > 0 && tail[0] != '#' {
		return false
	}
	a.style, a.to, a.end = q, at+1, end
	return true
}

// unquoted sets the bounds of a value without quotes: up to a comment, which begins
// with a blank and a #, or to the end of the line.
func unquoted(text []byte, a *assignment) {
	v := bytes.TrimRight(text[a.from:a.end], "\r\n")
	for i := 1; i < len(v); i++ {
		if v[i] == '#' && isBlank(v[i-1]) {
			v = v[:i]
			break
		}
	}
	a.style, a.to = bare, a.from+len(bytes.TrimRight(v, " \t\v\f"))
}

func (a *assignment) decode(text []byte) {
	raw := string(text[a.from:a.to])
	if a.style != bare {
		raw = raw[1 : len(raw)-1]
	}
	a.value, a.fault = raw, a.style.fault(raw)
}

func isName(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i]) || s[i] == '.' || s[i] == '-' || i == 0 && s[i] >= '0' && s[i] <= '9' {
			return false
		}
	}
	return s != ""
}

func isNameByte(c byte) bool {
	return c == '_' || c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func isBlank(c byte) bool { return strings.IndexByte(" \t\v\f", c) >= 0 }

func skipBlanks(text []byte, at int) int {
	for at < len(text) && isBlank(text[at]) {
		at++
	}
	return at
}

// lineEnd answers the offset behind the line ending (\n, \r\n or \r) of the line at
// is in.
func lineEnd(text []byte, at int) int {
	i := bytes.IndexAny(text[at:], "\r\n")
	if i < 0 {
		return len(text)
	}
	at += i
	if text[at] == '\r' && at+1 < len(text) && text[at+1] == '\n' {
		at++
	}
	return at + 1
}

func countLines(text []byte) int {
	n := 0
	for at := 0; at < len(text); n++ {
		at = lineEnd(text, at)
	}
	return n
}
