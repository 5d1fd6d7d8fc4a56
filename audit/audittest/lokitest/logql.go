package lokitest

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/scanner"
)

// query is a log query: which streams, and which of their lines.
type query struct {
	matchers []matcher
	filters  []filter
}

// matcher is one condition of a stream selector.
type matcher struct {
	label, op, value string
	re               *regexp.Regexp // of =~ and !~, anchored at both ends
}

// filter is one line filter.
type filter struct {
	op, text string
	re       *regexp.Regexp // of |~ and !~
}

// Filters parses a query and answers the texts of its line filters, for tests that build
// queries; the error is what Loki would say.
func Filters(text string) ([]string, error) {
	q, err := parse(text)
	var texts []string
	for _, f := range q.filters {
		texts = append(texts, f.text)
	}
	return texts, err
}

// lexer reads LogQL's tokens: names, strings in quotes or backticks, and punctuation.
type lexer struct {
	s   scanner.Scanner
	tok rune
	err error
}

func newLexer(text string) *lexer {
	l := &lexer{}
	l.s.Init(strings.NewReader(text))
	l.s.Mode = scanner.ScanIdents | scanner.ScanStrings | scanner.ScanRawStrings
	l.s.Error = func(_ *scanner.Scanner, msg string) { l.fail("%s", msg) }
	l.next()
	return l
}

func (l *lexer) next() { l.tok = l.s.Scan() }

// fail notes the first fault, in Loki's words.
func (l *lexer) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf("parse error at line %d, col %d: %s", l.s.Line, l.s.Column, fmt.Sprintf(format, args...))
	}
}

func (l *lexer) unexpected(want string) {
	l.fail("syntax error: unexpected %s, expecting %s", scanner.TokenString(l.tok), want)
}

func (l *lexer) want(tok rune) {
	if l.tok != tok {
		l.unexpected(string(tok))
	}
	l.next()
}

// text reads a quoted string.
func (l *lexer) text() string {
	if l.tok != scanner.String && l.tok != scanner.RawString {
		l.unexpected("STRING")
		return ""
	}
	s, err := strconv.Unquote(l.s.TokenText())
	if err != nil {
		l.fail("invalid string")
	}
	l.next()
	return s
}

// operator reads one of two characters.
func (l *lexer) operator(known ...string) string {
	first := l.tok
	op := string(first)
	if second := l.s.Peek(); second == '=' || second == '~' {
		op += string(second)
		l.s.Next()
	}
	for _, k := range known {
		if op == k {
			l.next()
			return op
		}
	}
	l.unexpected(strings.Join(known, " or "))
	return ""
}

// parse reads a stream selector with line filters behind it. Anything else of LogQL is an
// error, as an unknown construct would be Loki's.
func parse(text string) (query, error) {
	var q query
	l := newLexer(text)
	l.want('{')
	for l.err == nil && l.tok != '}' {
		m := matcher{label: l.s.TokenText()}
		if l.tok != scanner.Ident {
			l.unexpected("IDENTIFIER")
		}
		l.next()
		m.op = l.operator("=", "!=", "=~", "!~")
		m.value = l.text()
		if strings.HasSuffix(m.op, "~") && l.err == nil {
			m.re = l.regexp("^(?s:" + m.value + ")$")
		}
		q.matchers = append(q.matchers, m)
		if l.tok != ',' {
			break
		}
		l.next()
	}
	l.want('}')
	for l.err == nil && l.tok != scanner.EOF {
		f := filter{op: l.operator("|=", "!=", "|~", "!~")}
		f.text = l.text()
		if strings.HasSuffix(f.op, "~") && l.err == nil {
			f.re = l.regexp("(?s)" + f.text)
		}
		q.filters = append(q.filters, f)
	}
	if l.err == nil && !q.selects() {
		return q, errors.New("parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will")
	}
	return q, l.err
}

func (l *lexer) regexp(text string) *regexp.Regexp {
	re, err := regexp.Compile(text)
	if err != nil {
		l.fail("%v", err)
	}
	return re
}

// selects reports that a stream without labels would not be selected.
func (q query) selects() bool {
	for _, m := range q.matchers {
		if (m.op == "=" || m.op == "=~") && !m.match("") {
			return true
		}
	}
	return false
}

func (m matcher) match(value string) bool {
	switch m.op {
	case "=":
		return value == m.value
	case "!=":
		return value != m.value
	case "=~":
		return m.re.MatchString(value)
	default:
		return !m.re.MatchString(value)
	}
}

// stream reports whether a stream of these labels is selected.
func (q query) stream(labels map[string]string) bool {
	for _, m := range q.matchers {
		if !m.match(labels[m.label]) {
			return false
		}
	}
	return true
}

// line reports whether a line passes the filters.
func (q query) line(line string) bool {
	for _, f := range q.filters {
		var ok bool
		switch f.op {
		case "|=":
			ok = strings.Contains(line, f.text)
		case "!=":
			ok = !strings.Contains(line, f.text)
		case "|~":
			ok = f.re.MatchString(line)
		default:
			ok = !f.re.MatchString(line)
		}
		if !ok {
			return false
		}
	}
	return true
}
