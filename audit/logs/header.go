package logs

import (
	"bytes"
	"time"
)

// header separates what a log daemon writes before a line from the line itself:
//
//	Nov 22 19:35:18 web1 gunicorn[4711]: …                    RFC 3164, rsyslog's files
//	2026-11-22T19:35:18.123456+01:00 web1 gunicorn[4711]: …   rsyslog since 8.2, with the process id
//	<34>1 2026-11-22T19:35:18.003Z web1 gunicorn 4711 - - …   RFC 5424
//	2026-11-22T19:35:18.123456789Z stdout F …                 CRI, Kubernetes' files
//
// A line without one is answered whole, without a time.
func header(line []byte, c clock) (rest []byte, at time.Time) {
	s := afterPriority(line)
	if len(s) > 2 && len(s) < len(line) && isDigit(s[0]) && s[1] == ' ' {
		if rest, at, ok := rfc5424(s[2:], c); ok {
			return rest, at
		}
	}
	if at, n, ok := parseNamed(s, c); ok && s[0] != '[' && monthOf(s[:3]) != 0 {
		if rest, ok := afterTag(s[n:], false); ok {
			return rest, at
		}
		return line, time.Time{}
	}
	word, rest, ok := bytes.Cut(s, []byte(" "))
	if !ok || len(word) < 20 || word[10] != 'T' {
		return line, time.Time{}
	}
	at, ok = parseStamp(word, c)
	if !ok {
		return line, time.Time{}
	}
	for _, stream := range []string{"stdout ", "stderr "} {
		if cri, ok := bytes.CutPrefix(rest, []byte(stream)); ok && len(cri) > 2 && (cri[0] == 'F' || cri[0] == 'P') && cri[1] == ' ' {
			return cri[2:], at
		}
	}
	if rest, ok := afterTag(s[len(word):], true); ok {
		return rest, at
	}
	return line, time.Time{}
}

// afterTag passes over " host program[1]: ". Without the process id the same words may
// be the beginning of an application's own line.
func afterTag(s []byte, needsID bool) (rest []byte, ok bool) {
	s, ok = bytes.CutPrefix(s, []byte(" "))
	if !ok {
		return nil, false
	}
	host, s, ok := bytes.Cut(s, []byte(" "))
	if !ok || len(host) == 0 || host[len(host)-1] == ':' {
		return nil, false
	}
	tag, rest, ok := bytes.Cut(s, []byte(": "))
	if !ok || len(tag) == 0 || bytes.ContainsAny(tag, " \"'=") {
		return nil, false
	}
	if needsID {
		id := bytes.TrimSuffix(tag[bytes.IndexByte(tag, '[')+1:], []byte("]"))
		if _, ok := number(id); !ok {
			return nil, false
		}
	}
	return rest, true
}

// rfc5424 passes over "stamp host app procid msgid data " as the RFC has it.
func rfc5424(s []byte, c clock) (rest []byte, at time.Time, ok bool) {
	for n := range 5 {
		word, after, ok := bytes.Cut(s, []byte(" "))
		if !ok {
			return nil, time.Time{}, false
		}
		if n == 0 {
			if at, ok = parseStamp(word, c); !ok && string(word) != "-" {
				return nil, time.Time{}, false
			}
		}
		s = after
	}
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	} else {
		for len(s) > 0 && s[0] == '[' {
			end := closing(s)
			if end < 0 {
				return nil, time.Time{}, false
			}
			s = s[end+1:]
		}
	}
	s = bytes.TrimPrefix(s, []byte(" "))
	return bytes.TrimPrefix(s, []byte("\xef\xbb\xbf")), at, true
}

// closing is the index of the bracket that ends the element of structured data s begins
// with; in its values quotes, backslashes and brackets are escaped.
func closing(s []byte) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ']' && !quoted:
			return i
		}
	}
	return -1
}
