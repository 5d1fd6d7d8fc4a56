package logs

import (
	"bytes"

	"rekey/audit"
)

// written reads what an application, Django or a server's access logger says in a
// message. The fields beside it are believed before the words in it.
func (f *fields) written() (Record, bool) {
	if len(f.message) > 0 && f.byAccessLogger() {
		r, ok := parseAccess(f.message, f.d.guard, f.d.clock.zone)
		if ok {
			r = f.d.through(r, f.message)
		}
		return r, ok
	}
	if r, ok := f.refusedSignature(); ok {
		return r, true
	}
	if len(f.logger) > 0 && !bytes.HasPrefix(f.logger, []byte("django")) {
		return Record{}, false // somebody else's "Forbidden"
	}
	r, ok := f.d.parseReason(f.message)
	if !ok {
		r, ok = f.d.parseRunserver(f.message)
	}
	if !ok {
		return Record{}, false
	}
	if r.Method == "" {
		r.Method = f.djangoMethod()
		r.Guarded = f.d.guard.find(r.Method, canonical(r.Path))
	}
	r.Addr, r.Agent = f.client(), agentText(f.agent)
	return r, true
}

// byAccessLogger reports whether the message is a whole line of an access log:
// gunicorn.access, uvicorn.access and aiohttp.access write such, and werkzeug.
func (f *fields) byAccessLogger() bool {
	return bytes.HasSuffix(f.logger, []byte(".access")) || string(f.logger) == "werkzeug"
}

func (f *fields) refusedSignature() (Record, bool) {
	head, tail, ok := signatureIn(f.message)
	if !ok {
		if !startsPhrase(f.cause) {
			return Record{}, false
		}
		head, tail = nil, f.cause[1+len(phrase):]
	}
	r := Record{Kind: audit.InvalidSignature, Recorder: Application, Guarded: -1, Addr: f.client(), Method: f.djangoMethod(), Agent: agentText(f.agent)}
	switch {
	case len(f.path) > 0:
		r.Path = string(f.path)
	case len(f.request) > 0 && f.request[0] != '<':
		method, target := splitRequest(f.request)
		r.Path = string(target)
		if r.Method == "" {
			r.Method = string(method)
		}
	}
	r.about(head, tail, f.d)
	if f.addrOf.torn {
		r.Addr = f.client()
	}
	return r, true
}

// startsPhrase reports whether a reason is that a signature did not fit.
func startsPhrase(cause []byte) bool {
	return len(cause) > len(phrase) && (cause[0] == 'I' || cause[0] == 'i') && bytes.HasPrefix(cause[1:], phrase)
}

// evident reports whether a message may be evidence.
func evident(message []byte) bool {
	return bytes.Contains(message, phrase) || bytes.Contains(message, unauthorized) || bytes.Contains(message, []byte("Forbidden"))
}

// djangoMethod is the method, if need be out of the request that django.request names:
//
//	<WSGIRequest: POST '/api/revalidate/'>
func (f *fields) djangoMethod() string {
	if f.methodOf.is {
		return methodText(f.method)
	}
	if _, rest, ok := bytes.Cut(f.request[:min(len(f.request), 40)], []byte("SGIRequest: ")); ok && f.request[0] == '<' {
		method, _, _ := bytes.Cut(rest, []byte(" "))
		return methodText(method)
	}
	return ""
}
