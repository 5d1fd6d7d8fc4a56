package logs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Pattern reads lines of a layout of one's own: a regular expression of the RE2 kind whose
// named groups say what is what. It must fit from the beginning of a line, so that nothing
// a visitor writes further on can pass for one. It is safe for concurrent use.
type Pattern struct {
	re     *regexp.Regexp
	groups []name // by index; without meaning where the group is none of ours
	of     map[string]bool
	// needles are strings of which every line that it fits holds one; nil where nothing is
	// known of one that tells of refusals in words.
	needles [][]byte
}

// PatternError says what is wrong with a pattern, and what to write instead.
type PatternError struct{ Fault, Remedy string }

// Error is the fault in words.
func (e *PatternError) Error() string { return "the pattern " + e.Fault }

// GroupNames are the names that groups of a pattern may have, sorted.
func GroupNames() []string { return slices.Sorted(maps.Keys(groupNames)) }

// ParsePattern reads a pattern. The error is a *PatternError.
func ParsePattern(text string) (*Pattern, error) {
	_, err := regexp.Compile(text) // by itself, or it might end what it is put into
	var re *regexp.Regexp
	if err == nil {
		re, err = regexp.Compile(`\A(?:` + text + `)`)
	}
	if err != nil {
		return nil, &PatternError{"is no regular expression of the RE2 kind", `write it without look-around and back references, parentheses in pairs, \ before what is meant as it stands`}
	}
	p := &Pattern{re: re, groups: make([]name, re.NumSubexp()+1), of: map[string]bool{}, needles: needlesOf(text)}
	for i, group := range re.SubexpNames() {
		if group == "" {
			continue
		}
		means, ok := groupNames[group]
		switch {
		case !ok:
			return nil, &PatternError{fmt.Sprintf("has a group %q, which means nothing here", group), "name groups " + strings.Join(GroupNames(), ", ") + "; write (…) for the others"}
		case p.of[group]:
			return nil, &PatternError{fmt.Sprintf("has the group %q twice", group), "keep one of them: what it says must stand in one place"}
		}
		p.groups[i], p.of[group] = name{means: means}, true
	}
	switch {
	case len(p.of) == 0:
		return nil, &PatternError{"has no named group", "name what stands where: (?P<time>…) (?P<addr>…) (?P<path>…) (?P<status>…)"}
	case !p.Requests() && !p.refuses() && !p.of["message"]:
		return nil, &PatternError{"tells neither a request with its status nor a message", "name the groups path (or request) and status, or the group message, or the words that tell of a refusal unauthorized or forbidden"}
	case re.MatchString(""):
		return nil, &PatternError{"fits an empty line, so it fits every line", "write what each line has: (?P<time>\\S+) (?P<message>.+)"}
	}
	return p, nil
}

// needlesOf is for the patterns that rekey knows.
func needlesOf(text string) [][]byte {
	switch text {
	case NginxErrors:
		return [][]byte{nginxNeedle}
	case ApacheErrors:
		return [][]byte{apacheNeedle}
	}
	return nil
}

// Has reports whether the pattern has a group of that name.
func (p *Pattern) Has(group string) bool { return p.of[group] }

// Requests reports whether the lines of the pattern tell of requests and their answers.
func (p *Pattern) Requests() bool { return p.of["status"] && (p.of["path"] || p.of["request"]) }

// refuses reports whether lines of the pattern tell in words that a request was refused.
func (p *Pattern) refuses() bool { return p != nil && (p.of["unauthorized"] || p.of["forbidden"]) }

// read fills f; false means that the pattern does not fit.
func (p *Pattern) read(f *fields, line []byte) bool {
	if p == nil {
		return false
	}
	at := p.re.FindSubmatchIndex(line)
	if at == nil {
		return false
	}
	f.addressless = !p.of["addr"] && !p.of["forwarded"]
	for i, n := range p.groups {
		if n.means != 0 && at[2*i] >= 0 {
			f.take(n, line[at[2*i]:at[2*i+1]], 0)
		}
	}
	return true
}
