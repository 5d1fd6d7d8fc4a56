package cloudwatchtest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// query is a query of Logs Insights: which fields of which events, and how many.
type query struct {
	fields []string
	like   []*regexp.Regexp // all of which @message matches
	newest bool             // sorted by @timestamp, descending
	limit  int
}

var (
	command   = regexp.MustCompile(`^\s*([a-z]+)\s+`)
	condition = regexp.MustCompile(`^@message\s+like\s+/((?:[^/\\\n]|\\.)*)/\s*`)
	sorting   = regexp.MustCompile(`^@timestamp\s+(asc|desc)\s*`)
	field     = regexp.MustCompile(`^(@[a-zA-Z]+)\s*`)
	number    = regexp.MustCompile(`^([0-9]+)\s*`)
)

// parse reads fields, filter, sort and limit, each at most once; anything else is an
// error. A slash inside an expression is escaped; Insights' expressions are read as RE2.
func parse(text string) (query, error) {
	q := query{limit: MaxRows}
	seen := map[string]bool{}
	rest := text
	for {
		m := command.FindStringSubmatch(rest)
		if m == nil || seen[m[1]] {
			return q, malformed(text, rest)
		}
		seen[m[1]] = true
		rest = rest[len(m[0]):]
		var ok bool
		switch m[1] {
		case "fields":
			rest, ok = q.takeFields(rest)
		case "filter":
			rest, ok = q.takeFilter(rest)
		case "sort":
			if m := sorting.FindStringSubmatch(rest); m != nil {
				q.newest, rest, ok = m[1] == "desc", rest[len(m[0]):], true
			}
		case "limit":
			if m := number.FindStringSubmatch(rest); m != nil {
				n, err := strconv.Atoi(m[1])
				q.limit, rest, ok = n, rest[len(m[0]):], err == nil && n >= 1 && n <= MaxRows
			}
		}
		if !ok {
			return q, malformed(text, rest)
		}
		if rest == "" {
			return q, nil
		}
		if rest[0] != '|' {
			return q, malformed(text, rest)
		}
		rest = rest[1:]
	}
}

func malformed(text, rest string) error {
	return refuse("MalformedQueryException", "unexpected symbol found %.20s at line 1 and position %d", rest, len(text)-len(rest))
}

func (q *query) takeFields(rest string) (string, bool) {
	for {
		m := field.FindStringSubmatch(rest)
		if m == nil {
			return rest, false
		}
		switch m[1] {
		case "@timestamp", "@message", "@logStream", "@ptr":
		default:
			return rest, false
		}
		q.fields = append(q.fields, m[1])
		rest = rest[len(m[0]):]
		next, more := strings.CutPrefix(rest, ",")
		if !more {
			return rest, true
		}
		rest = strings.TrimLeft(next, " ")
	}
}

func (q *query) takeFilter(rest string) (string, bool) {
	for {
		m := condition.FindStringSubmatch(rest)
		if m == nil {
			return rest, false
		}
		re, err := regexp.Compile("(?s)" + strings.ReplaceAll(m[1], `\/`, `/`))
		if err != nil {
			return rest, false
		}
		q.like = append(q.like, re)
		rest = rest[len(m[0]):]
		next, more := strings.CutPrefix(rest, "and ")
		if !more {
			return rest, true
		}
		rest = strings.TrimLeft(next, " ")
	}
}

func (q query) match(message string) bool {
	for _, re := range q.like {
		if !re.MatchString(message) {
			return false
		}
	}
	return true
}

// Filters parses a query and answers the expressions of its filter, for tests that build
// queries; the error is what Insights would say.
func Filters(text string) ([]string, error) {
	q, err := parse(text)
	var list []string
	for _, re := range q.like {
		list = append(list, strings.TrimPrefix(re.String(), "(?s)"))
	}
	if err != nil {
		return nil, fmt.Errorf("parsing the query: %w", err)
	}
	return list, nil
}
