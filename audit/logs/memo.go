package logs

import (
	"bytes"
	"net/netip"
	"time"

	"rekey/audit"
)

// Bounds of what is remembered: whoever attacks can send a new path and agent with
// every request.
const (
	maxMemo      = 1024 // entries of a kind
	maxMemoBytes = 512  // of what is looked up
	stampBytes   = 26   // "22/Nov/2026:19:35:18 +0000"
	dayBytes     = 12   // "22/Nov/2026:"
	clockBytes   = 8    // "19:35:18"
)

// memo remembers what the parts of lines mean that come again and again. A nil memo
// remembers nothing.
type memo struct {
	requests map[string]asked
	agents   map[string]string
	paths    map[string]spelling
	sentence sentence
	line     stamped // how messages begin
	bracket  stamped // what an access log has in brackets
}

// asked is what a request asks for, as its line or a message says.
type asked struct {
	method, path string
	guarded      int
}

// request reads a request line.
func (m *memo) request(line []byte, g guards) asked {
	if m != nil {
		if known, ok := m.requests[string(line)]; ok {
			return known
		}
	}
	method, target := splitRequest(line)
	path := canonical(string(target))
	a := asked{method: string(method)}
	a.guarded = g.find(a.method, path)
	a.path = shown(path)
	if m != nil && len(line) <= maxMemoBytes {
		m.requests = remember(m.requests, string(line), a)
	}
	return a
}

// spelling is a path as the router sees it and as a record keeps it.
type spelling struct{ canonical, shown string }

// path reads a path or target.
func (m *memo) path(target []byte) spelling {
	if m != nil {
		if known, ok := m.paths[string(target)]; ok {
			return known
		}
	}
	p := canonical(string(target))
	s := spelling{canonical: p, shown: shown(p)}
	if m != nil && len(target) <= maxMemoBytes {
		m.paths = remember(m.paths, string(target), s)
	}
	return s
}

// agent is a user agent as a record keeps it.
func (m *memo) agent(field []byte) string {
	if string(field) == "-" {
		return ""
	}
	if m == nil {
		return audit.Clean(string(field), maxAgent)
	}
	if known, ok := m.agents[string(field)]; ok {
		return known
	}
	agent := audit.Clean(string(field), maxAgent)
	if len(field) <= maxMemoBytes {
		m.agents = remember(m.agents, string(field), agent)
	}
	return agent
}

func remember[V any](known map[string]V, key string, value V) map[string]V {
	switch {
	case known == nil:
		known = map[string]V{}
	case len(known) >= maxMemo:
		clear(known)
	}
	known[key] = value
	return known
}

// bracketed reads the time in the brackets that end head. Only those: a user name
// before them is the visitor's.
func (m *memo) bracketed(head []byte, zone *time.Location) (time.Time, bool) {
	head = bytes.TrimRight(head, " ")
	if len(head) == 0 || head[len(head)-1] != ']' {
		return time.Time{}, false
	}
	head = head[:len(head)-1]
	// No bracket stands in what is remembered, so that the one before it is the last.
	if n := len(head) - stampBytes; m != nil && n > 0 && head[n-1] == '[' {
		if at, ok := m.bracket.recall(head[n:]); ok {
			return at, true
		}
	}
	open := bytes.LastIndexByte(head, '[')
	if open < 0 {
		return time.Time{}, false
	}
	at, ok := parseStamp(head[open+1:], clock{zone: zone})
	if ok && m != nil && len(head)-open-1 == stampBytes {
		text := head[open+1:]
		zone := text[dayBytes+clockBytes:]
		if _, n, fixed := parseZone(zone[1:]); zone[0] == ' ' && fixed && n == len(zone)-1 {
			m.bracket.learn(text, dayBytes, len(zone), at)
		}
	}
	return at, ok
}

// quad reads an IPv4 address as nearly every line begins with one; not ok leaves the
// judgement to netip.
func quad(s []byte) (netip.Addr, bool) {
	var parts [4]byte
	part, value, digits := 0, 0, 0
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9' && digits < 3 && (digits == 0 || value > 0):
			value, digits = value*10+int(c-'0'), digits+1
		case c == '.' && digits > 0 && value <= 255 && part < 3:
			parts[part] = byte(value)
			part, value, digits = part+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	if part != 3 || digits == 0 || value > 255 {
		return netip.Addr{}, false
	}
	parts[3] = byte(value)
	return netip.AddrFrom4(parts), true
}
