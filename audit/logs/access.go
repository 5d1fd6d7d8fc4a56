package logs

import (
	"bytes"
	"net/netip"
	"time"

	"rekey/audit"
)

// parseAccess judges one line of an access log. The status is the field right
// after the first unescaped closing quote of the request: servers escape a quote
// inside the request, the user or the agent as \" (gunicorn, Apache) or \x22
// (nginx), so that nothing a visitor sends can close it.
//
//	203.0.113.66 - - [22/Nov/2026:19:35:18 +0000] "POST /api/revalidate/ HTTP/1.1" 401 29 "-" "curl/8.5"
func parseAccess(line []byte, g guards, zone *time.Location) (Record, bool) {
	a := accessLines{guard: g, zone: zone}
	f, ok := a.locate(line)
	if !ok {
		return Record{}, false
	}
	return a.record(line, f)
}

// accessLines judges lines of an access log.
type accessLines struct {
	guard guards
	zone  *time.Location
	memo  *memo
}

// request says where a line's request stands: between two quotes.
type request struct{ open, end int }

// locate finds the request of a line that may be evidence: one that was refused, or that
// may have asked for a guarded path. Almost every line of a big log ends here.
func (a *accessLines) locate(line []byte) (request, bool) {
	open := quote(line, 0)
	if open < 0 {
		return request{}, false
	}
	at := request{open: open, end: quote(line, open+1)}
	return at, at.end >= 0 && a.matters(line, at)
}

// matters reports whether the request of line may be evidence.
func (a *accessLines) matters(line []byte, at request) bool {
	if len(line)-at.end < 5 {
		return false
	}
	switch status := line[at.end+1 : at.end+5]; status[1] {
	case '2':
		return a.guard.near(line[at.open+1 : at.end])
	case '4':
		return status[2] == '0' && (status[3] == '1' || status[3] == '3')
	}
	return false
}

// first finds the line that data begins with, its request, and where the next begins.
func (a *accessLines) first(data []byte, limit int) (line []byte, at request, next int, ok bool) {
	open, end, length, split := splitLine(data)
	if split && length > 0 && length <= limit && data[0] != 0 && (open <= 0 || data[open-1] != '\\') && (end < 0 || data[end-1] != '\\') {
		at = request{open: open, end: end}
		line = trimLine(data[:length], limit)
		return line, at, length + 1, end >= 0 && a.matters(line, at)
	}
	next = len(data)
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		data, next = data[:i], i+1
	}
	line = trimLine(data, limit)
	at, ok = a.locate(line)
	return line, at, next, ok
}

// record judges a line of which locate found the request.
func (a *accessLines) record(line []byte, at request) (Record, bool) {
	status, rest, ok := statusAfter(line[at.end+1:])
	if !ok {
		return Record{}, false
	}
	asked := a.memo.request(line[at.open+1:at.end], a.guard)
	r := Record{
		Kind: audit.Denied, Recorder: Server, Method: asked.method, Path: asked.path, Guarded: asked.guarded, Status: status,
	}
	if status >= 200 && status <= 299 {
		if r.Guarded < 0 {
			return Record{}, false
		}
		r.Kind = audit.Used
	}
	head := line[:at.open]
	r.Addr = firstField(head)
	if when, ok := a.memo.bracketed(head, a.zone); ok {
		r.At = when
	}
	r.Agent = a.memo.agent(agentAfter(rest))
	return r, true
}

// quote is the index of the first unescaped double quote at or after from, or -1.
func quote(line []byte, from int) int {
	for {
		i := bytes.IndexByte(line[from:], '"')
		if i < 0 {
			return -1
		}
		i += from
		if i == 0 || line[i-1] != '\\' {
			return i
		}
		slashes := 0
		for j := i - 1; j >= 0 && line[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
		from = i + 1
	}
}

// statusAfter reads " 401" followed by a space or the end of the line.
func statusAfter(s []byte) (status int, rest []byte, ok bool) {
	if len(s) < 4 || s[0] != ' ' || s[1] < '1' || s[1] > '5' || !isDigit(s[2]) || !isDigit(s[3]) {
		return 0, nil, false
	}
	if len(s) > 4 && s[4] != ' ' {
		return 0, nil, false
	}
	return int(s[1]-'0')*100 + int(s[2]-'0')*10 + int(s[3]-'0'), s[4:], true
}

// splitRequest splits "GET /p HTTP/1.1" at its first and last space, as a target
// that was logged unescaped may hold spaces.
func splitRequest(request []byte) (method, target []byte) {
	method, target, ok := bytes.Cut(request, []byte(" "))
	if !ok || !isMethod(method) {
		return nil, request
	}
	if i := bytes.LastIndexByte(target, ' '); i >= 0 && bytes.HasPrefix(target[i+1:], []byte("HTTP/")) {
		target = target[:i]
	}
	return method, target
}

// isMethod accepts a plausible method: 3 to 16 capital letters.
func isMethod(s []byte) bool {
	if len(s) < 3 || len(s) > 16 {
		return false
	}
	for _, c := range s {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// firstField is the client's address, the first field; invalid for "-", a host name
// or anything else.
func firstField(head []byte) netip.Addr {
	field, _, _ := bytes.Cut(head, []byte(" "))
	return parseAddr(field)
}

// parseAddr reads an address, alone, in brackets or with a port. An IPv4 address
// in IPv6 clothes is the same client, so it is undressed; a zone is dropped.
func parseAddr(s []byte) netip.Addr {
	if len(s) < 2 || len(s) > 64 {
		return netip.Addr{}
	}
	if a, ok := quad(s); ok {
		return a
	}
	if !bytes.ContainsAny(s, ".:") {
		return netip.Addr{} // most words are none
	}
	text := string(s)
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Unmap().WithZone("")
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	if text[0] == '[' && text[len(text)-1] == ']' {
		if a, err := netip.ParseAddr(text[1 : len(text)-1]); err == nil {
			return a.Unmap().WithZone("")
		}
	}
	return netip.Addr{}
}

// agentAfter reads the second quoted field of what follows the status, as the
// combined format has it; the common format has none.
func agentAfter(rest []byte) []byte {
	from := 0
	var field []byte
	for range 2 {
		open := quote(rest, from)
		if open < 0 {
			return nil
		}
		end := quote(rest, open+1)
		if end < 0 {
			return nil
		}
		field, from = rest[open+1:end], end+1
	}
	return field
}
