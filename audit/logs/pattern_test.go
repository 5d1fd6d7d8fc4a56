package logs

import (
	"errors"
	"strings"
	"testing"
)

func TestPatternFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, pattern, fault string }{
		{"sound", piped, ""},
		{"a message alone", `(?P<message>.+)`, ""},
		{"a request line", `(?P<request>.+) (?P<status>\d+)`, ""},
		{"Go's own spelling", `(?<message>.+)`, ""},
		{"a refusal in words", `denied (?P<addr>\S+) (?P<forbidden>.+)`, ""},
		{"nginx's errors", NginxErrors, ""},
		{"Apache's errors", ApacheErrors, ""},
		{"unbalanced", `(?P<message>.+`, "no regular expression of the RE2 kind"},
		{"closing more than it opened", `x)(?P<message>.+)|(`, "no regular expression of the RE2 kind"},
		{"look-around", `(?P<message>.+)(?!x)`, "no regular expression of the RE2 kind"},
		{"without names", `(.+) (.+)`, "has no named group"},
		{"an unknown name", `(?P<adr>.+) (?P<message>.+)`, `has a group "adr"`},
		{"twice", `(?P<message>a)|(?P<message>b)`, "twice"},
		{"a path without a status", `(?P<path>.+)`, "neither a request with its status nor a message"},
		{"a status without a path", `(?P<status>.+)`, "neither a request with its status nor a message"},
		{"an empty line", `(?P<message>.*)`, "fits an empty line"},
	} {
		_, err := ParsePattern(tt.pattern)
		var fault *PatternError
		switch {
		case tt.fault == "" && err != nil, tt.fault != "" && !errors.As(err, &fault):
			t.Errorf("%s: %v", tt.name, err)
		case fault != nil && (!strings.Contains(fault.Fault, tt.fault) || fault.Remedy == ""):
			t.Errorf("%s: %q, %q", tt.name, fault.Fault, fault.Remedy)
		}
	}
	if _, err := Open("testdata/pattern.log", Custom); err != nil {
		t.Fatal(err)
	}
}

// A log with a pattern of its own cannot be read without it.
func TestPatternIsNeeded(t *testing.T) {
	t.Parallel()
	l, err := Open("testdata/pattern.log", Custom)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, _, err := scanAll(l, Query{}); !errors.Is(err, errNoPattern) {
		t.Errorf("Scan: %v", err)
	}
	if _, _, err := l.Last(t.Context(), Query{}, 1); !errors.Is(err, errNoPattern) {
		t.Errorf("Last: %v", err)
	}
	if _, err := NewParser(Custom, Query{}); !errors.Is(err, errNoPattern) {
		t.Errorf("NewParser: %v", err)
	}
}

// FuzzParsePattern: what is taken as a pattern can be used.
func FuzzParsePattern(f *testing.F) {
	f.Add(piped, "2026-11-22T19:35:18Z|203.0.113.66|POST|/api/revalidate/|401|-|curl/8.5.0")
	f.Add(`(?P<message>(?i)invalid.*)`, "Invalid signature")
	f.Add(`(?P<unauthorized>who) (?P<path>.*)`, "who /api/revalidate/")
	f.Add(`a)(?P<message>b|c`, "c")
	f.Fuzz(func(t *testing.T, pattern, line string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		d := newDialect(Custom, Query{Pattern: p, Endpoints: revalidate}, written)
		r, ok := d.parse([]byte(line))
		if ok && (r.Kind == "" || r.Guarded >= len(revalidate)) {
			t.Errorf("%+v", r)
		}
	})
}
