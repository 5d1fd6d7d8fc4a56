package logs

import (
	"bytes"

	"rekey/audit"
)

// parseDjango judges one line of Django's own logging. Sources: django.utils.log
// log_response ("%s: %s" of reason phrase and path), django.core.handlers.exception
// ("Forbidden (Permission denied): %s"), django.middleware.csrf ("Forbidden (%s): %s"),
// and django.core.servers.basehttp ('"%s" %s %s').
func (d *dialect) parseDjango(line []byte) (Record, bool) {
	if r, ok := d.parseReason(line); ok {
		if at, ok := d.when(line); ok {
			r.At = at
		}
		return r, true
	}
	if r, ok := d.parseRunserver(line); ok {
		if at, ok := d.when(line); ok {
			r.At = at
		}
		return r, true
	}
	return d.parseSecurity(line)
}

var (
	unauthorized = []byte("Unauthorized: /")
	forbidden    = []byte("Forbidden: /")
	forbiddenFor = []byte("Forbidden (")
)

// parseReason reads the lines of django.request and django.security.csrf, which
// carry a reason instead of a number. The path is the rest of the line: Django logs
// it decoded, so it may hold spaces.
func (d *dialect) parseReason(line []byte) (Record, bool) {
	status, from, path := 0, -1, -1
	if i := bytes.Index(line, unauthorized); i >= 0 {
		status, from, path = 401, i, i+len(unauthorized)-1
	}
	if i := bytes.Index(line, forbidden); i >= 0 && (from < 0 || i < from) {
		status, from, path = 403, i, i+len(forbidden)-1
	}
	if i := bytes.Index(line, forbiddenFor); i >= 0 && (from < 0 || i < from) {
		j := bytes.Index(line[i:], []byte("): /"))
		if j < 0 {
			return Record{}, false
		}
		status, from, path = 403, i, i+j+len("): ")
	}
	if from < 0 || !startsMessage(line[:from]) {
		return Record{}, false
	}
	p := d.memo.path(bytes.TrimRight(line[path:], " \t"))
	return Record{
		Kind: audit.Denied, Recorder: Request, Status: status, Path: p.shown, Guarded: d.guard.find("", p.canonical),
	}, true
}

// startsMessage reports whether a message may begin after prefix: nothing in it may
// be a path or a quotation, which would make the rest a visitor's text.
func startsMessage(prefix []byte) bool {
	if len(prefix) == 0 {
		return true
	}
	switch prefix[len(prefix)-1] {
	case ' ', ':', ']', '|', '-', '\t':
	default:
		return false
	}
	return bytes.IndexByte(prefix, '"') < 0 && pathStart(prefix) < 0 && !reasonIn(prefix)
}

// parseRunserver reads a django.server line. Its quotes are not escaped, so the
// status is what stands after the last quote, and must be followed by a size that
// ends the line.
//
//	[22/Nov/2026 19:35:18] "GET /api/forbidden/ HTTP/1.1" 403 135
func (d *dialect) parseRunserver(line []byte) (Record, bool) {
	end := bytes.LastIndexByte(line, '"')
	if end < 0 {
		return Record{}, false
	}
	status, rest, ok := statusAfter(line[end+1:])
	if !ok || status != 401 && status != 403 || !sizeOnly(rest) {
		return Record{}, false
	}
	open := bytes.IndexByte(line, '"')
	if open == end || !opensRequest(line[:open]) {
		return Record{}, false
	}
	method, target := splitRequest(line[open+1 : end])
	if method == nil {
		return Record{}, false
	}
	p := d.memo.path(target)
	r := Record{Kind: audit.Denied, Recorder: Runserver, Status: status, Method: string(method), Path: p.shown}
	r.Guarded = d.guard.find(r.Method, p.canonical)
	return r, true
}

// opensRequest reports whether a request may be quoted after prefix: levels, names
// and stamps may stand there, a path or a reason may not.
func opensRequest(prefix []byte) bool {
	return pathStart(prefix) < 0 && !reasonIn(prefix)
}

// sizeOnly reports whether rest is a space and a size, or "-", and nothing else.
func sizeOnly(rest []byte) bool {
	rest = bytes.TrimSpace(rest)
	if string(rest) == "-" {
		return true
	}
	_, ok := number(rest)
	return ok
}
