package logs

import (
	"bytes"
	"net/netip"

	"rekey/audit"
)

// client is who asked, as far as the line tells.
func (f *fields) client() netip.Addr {
	switch {
	case f.addrOf.torn:
		return netip.Addr{}
	case len(f.forwarded) == 0:
		return f.addr
	case f.forwardedOf.torn && trusted(f.addr, f.d.proxies):
		return netip.Addr{}
	}
	return client(f.addr, f.forwarded, f.d.proxies)
}

// record judges the line.
func (f *fields) record() (Record, bool) {
	if f.line != nil && f.stream {
		return f.wrapped()
	}
	r, ok := f.written()
	if !ok {
		r, ok = f.answered()
	}
	if !f.time.IsZero() {
		r.At = f.time
	}
	r.Proxied = r.Addr.IsValid() && len(f.d.proxies) > 0 && trusted(r.Addr, f.d.proxies)
	return r, ok
}

// wrapped judges the line of a container that Docker wrote down.
func (f *fields) wrapped() (Record, bool) {
	if f.d.inner == nil {
		return Record{}, false // a container that runs Docker: one wrapping is enough
	}
	r, ok := f.d.inner.parse(trimLine(bytes.TrimRight(f.line, "\r\n"), maxLine))
	if ok && r.At.IsZero() {
		r.At = f.time
	}
	return r, ok
}

// answered reads a request with its answer.
func (f *fields) answered() (Record, bool) {
	accepted := gravity(f.status) == 2
	if gravity(f.status) == 0 || !f.isRequest() {
		return Record{}, false
	}
	method, target := f.method, f.path
	if target == nil {
		m, t := splitRequest(f.request)
		if target = t; method == nil {
			method = m
		}
	}
	path := canonical(string(target))
	r := Record{Kind: audit.Denied, Recorder: Server, Status: f.status, Method: methodText(method)}
	r.Guarded = f.d.guard.find(r.Method, path)
	if f.refused {
		r.Recorder = Errors
	}
	if accepted {
		if r.Guarded < 0 {
			return Record{}, false
		}
		r.Kind = audit.Used
	}
	r.Path, r.Addr, r.Agent = shown(path), f.client(), agentText(f.agent)
	return r, true
}

// isRequest reports whether the line is about a request that somebody made to the server:
// it says who asked, for what, and what the answer was. One without the first is about a
// request the application made itself; one without the second is known by the server's own
// words.
func (f *fields) isRequest() bool {
	return f.status != 0 && (f.path != nil || len(f.request) > 0 && f.request[0] != '<' || f.refused) && (f.addrOf.is || f.forwardedOf.is || f.addressless)
}

func methodText(method []byte) string {
	if !isMethod(method) {
		return ""
	}
	return string(method)
}

func agentText(agent []byte) string {
	if string(agent) == "-" {
		return ""
	}
	return audit.Clean(string(agent), maxAgent)
}
