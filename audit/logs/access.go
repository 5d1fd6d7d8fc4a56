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
	open := quote(line, 0)
	if open < 0 {
		return Record{}, false
	}
	end := quote(line, open+1)
	if end < 0 {
		return Record{}, false
	}
	status, rest, ok := statusAfter(line[end+1:])
	if !ok {
		return Record{}, false
	}
	accepted := status >= 200 && status <= 299
	if !accepted && status != 401 && status != 403 {
		return Record{}, false
	}
	method, target := splitRequest(line[open+1 : end])
	if accepted && !g.maybe(target) {
		return Record{}, false
	}
	path := canonical(string(target))
	r := Record{Kind: audit.Denied, Recorder: Server, Method: string(method), Status: status}
	r.Guarded = g.find(r.Method, path)
	if accepted {
		if r.Guarded < 0 {
			return Record{}, false
		}
		r.Kind = audit.Used
	}
	r.Path = shown(path)
	r.Addr = firstField(line[:open])
	if at, ok := bracketed(line[:open], zone); ok {
		r.At = at
	}
	r.Agent = agentAfter(rest)
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

// bracketed reads the time in the brackets that end head. Only those: a user name
// before them is the visitor's.
func bracketed(head []byte, zone *time.Location) (time.Time, bool) {
	head = bytes.TrimRight(head, " ")
	if len(head) == 0 || head[len(head)-1] != ']' {
		return time.Time{}, false
	}
	open := bytes.LastIndexByte(head, '[')
	if open < 0 {
		return time.Time{}, false
	}
	return parseStamp(head[open+1:len(head)-1], clock{zone: zone})
}

// agentAfter reads the second quoted field of what follows the status, as the
// combined format has it; the common format has none.
func agentAfter(rest []byte) string {
	from := 0
	var field []byte
	for range 2 {
		open := quote(rest, from)
		if open < 0 {
			return ""
		}
		end := quote(rest, open+1)
		if end < 0 {
			return ""
		}
		field, from = rest[open+1:end], end+1
	}
	if string(field) == "-" {
		return ""
	}
	return audit.Clean(string(field), maxAgent)
}
