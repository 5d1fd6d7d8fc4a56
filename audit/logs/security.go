package logs

import (
	"bytes"
	"net/netip"
	"strings"

	"rekey/audit"
)

// phrase is what an application writes when a signature does not fit, without its
// first letter, which may be a capital.
var phrase = []byte("nvalid signature")

// parseSecurity judges one line of an application's own log. The phrase counts only
// where the application wrote it: not inside quotes, not in the path or reason of
// another logger's message.
//
//	WARNING 2026-11-22 19:35:18,123 views_seo Invalid signature from 203.0.113.66 on POST /api/revalidate/
//	[22/Nov/2026 19:35:18] WARNING POST /api/revalidate/ ip=203.0.113.66: Invalid signature
func (d *dialect) parseSecurity(line []byte) (Record, bool) {
	head, tail, ok := signatureIn(line)
	if !ok {
		return Record{}, false
	}
	r := Record{Kind: audit.InvalidSignature, Recorder: Application, Guarded: -1}
	if at, ok := d.when(line); ok {
		r.At = at
	}
	r.about(head, tail, d)
	return r, true
}

// signatureIn finds the phrase in text, and what stands before and behind it.
func signatureIn(text []byte) (head, tail []byte, ok bool) {
	i := bytes.Index(text, phrase)
	if i < 1 || text[i-1] != 'I' && text[i-1] != 'i' {
		return nil, nil, false
	}
	head = text[:i-1]
	return head, text[i+len(phrase):], wroteIt(head)
}

// about reads whose signature it was. What follows the phrase names the client in most
// layouts, so it is read first; what stands before it fills what is still missing.
func (r *Record) about(head, tail []byte, d *dialect) {
	alone := d.memo != nil && !r.Addr.IsValid() && r.Method == "" && r.Path == ""
	if alone {
		if addr, known, ok := d.memo.sentence.recall(tail); ok {
			r.Addr, r.Method, r.Path, r.Guarded = addr, known.method, known.path, known.guarded
			return
		}
	}
	m := mention{addr: r.Addr, method: r.Method, path: []byte(r.Path)}
	m.fill(tail)
	whole := m.addr.IsValid() && m.method != "" && len(m.path) > 0
	if !whole {
		m.fill(head)
	}
	r.Addr, r.Method = m.addr, m.method
	if len(m.path) > 0 {
		p := d.memo.path(m.path)
		r.Guarded, r.Path = d.guard.find(r.Method, p.canonical), p.shown
	}
	if alone && whole {
		d.memo.sentence.learn(tail, r.Addr, asked{method: r.Method, path: r.Path, guarded: r.Guarded})
	}
}

// mention is what a message says of a request.
type mention struct {
	addr   netip.Addr
	method string
	path   []byte
}

// wroteIt reports whether a phrase after head is the application's own.
func wroteIt(head []byte) bool {
	if len(head) > 0 {
		switch head[len(head)-1] {
		case ' ', ':', ']', '|', '-', '\t', ')':
		default:
			return false
		}
	}
	if bytes.IndexByte(head, '"') < 0 && bytes.IndexByte(head, '/') < 0 {
		return true // most are so
	}
	if bytes.Count(head, []byte(`"`))%2 == 1 || reasonIn(head) {
		return false
	}
	// After a path, the phrase must be set off: a decoded path may hold spaces.
	if p := pathStart(head); p >= 0 {
		tail := bytes.TrimRight(head[p:], " ")
		return len(tail) > 0 && strings.IndexByte(":-|,", tail[len(tail)-1]) >= 0
	}
	return true
}

// reasonIn reports whether head holds the reason phrase of a django.request line,
// after which everything is the visitor's path.
func reasonIn(head []byte) bool {
	i := bytes.Index(head, []byte(": /"))
	if i < 0 {
		return false
	}
	for _, reason := range []string{
		"Not Found", "Bad Request", "Unauthorized", "Forbidden", "Internal Server Error", "Method Not Allowed", "Gone",
		"Service Unavailable", "Too Many Requests", "Unprocessable Entity", "Payment Required", "Conflict", "Not Acceptable", ")",
	} {
		if bytes.HasSuffix(head[:i], []byte(reason)) {
			return true
		}
	}
	return false
}

// pathStart is the index of the first word that begins with a slash, or has one after an
// equals sign, or -1.
func pathStart(s []byte) int {
	if len(s) > 0 && s[0] == '/' {
		return 0
	}
	word, named := bytes.Index(s, []byte(" /")), bytes.Index(s, []byte("=/"))
	if word < 0 || named >= 0 && named < word {
		return named
	}
	return word
}

// fill reads address, method and path from the words of s, in any order, with or
// without names ("ip=203.0.113.66"), without overwriting what is known.
func (m *mention) fill(s []byte) {
	for at := 0; at < len(s); {
		if divides(s[at]) {
			at++
			continue
		}
		from, equals, marked := at, -1, false
		for ; at < len(s) && !divides(s[at]); at++ {
			switch s[at] {
			case '=':
				if equals < 0 {
					equals = at
				}
			case '.', ':', '/':
				marked = true
			}
		}
		word := s[from:at]
		if equals >= 0 && word[0] != '/' {
			key, value := s[from:equals], s[equals+1:at]
			if visitors(key) {
				// The visitor's own words, up to the quote that ends them.
				if len(value) > 0 && value[0] == '"' && quote(value, 1) < 0 {
					at += quote(s[at:], 0) + 1
				}
				continue
			}
			word = value
		}
		// An address has a full stop or a colon, a path a slash, and a method is in capitals.
		if marked || capital(word) {
			m.word(unquoted(word))
		}
	}
}

// capital reports whether word begins with a capital letter, maybe behind a quote.
func capital(word []byte) bool {
	for len(word) > 0 && quotes(word[0]) {
		word = word[1:]
	}
	return len(word) > 0 && word[0] >= 'A' && word[0] <= 'Z'
}

// unquoted is word without the quotes around it, and without the full stops then at its
// end.
func unquoted(word []byte) []byte {
	for len(word) > 0 && quotes(word[0]) {
		word = word[1:]
	}
	for len(word) > 0 && quotes(word[len(word)-1]) {
		word = word[:len(word)-1]
	}
	for len(word) > 0 && word[len(word)-1] == '.' {
		word = word[:len(word)-1]
	}
	return word
}

func quotes(c byte) bool { return c == '"' || c == '\'' || c == '<' || c == '>' }

// visitors reports whether what key names is a visitor's own words.
func visitors(key []byte) bool {
	switch strings.ToLower(string(bytes.Trim(key, `"'`))) {
	case "agent", "ua", "user_agent", "referer", "referrer", "body", "payload", "signature":
		return true
	}
	return false
}

// divides reports whether c stands between words.
func divides(c byte) bool {
	const below64 = 1<<' ' | 1<<'\t' | 1<<',' | 1<<';' | 1<<'(' | 1<<')'
	return c < 64 && below64>>c&1 != 0 || c == '|'
}

// word takes one word for what it looks like.
func (m *mention) word(word []byte) {
	switch {
	case len(word) == 0:
	case word[0] == '/':
		if len(m.path) == 0 {
			m.path = bytes.TrimRight(word, ":")
		}
	case httpMethod(word) != "":
		if m.method == "" {
			m.method = httpMethod(word)
		}
	case !m.addr.IsValid():
		if m.addr = parseAddr(word); !m.addr.IsValid() {
			m.addr = parseAddr(bytes.TrimRight(word, ":"))
		}
	}
}

// httpMethod is the method that word names, or "".
func httpMethod(word []byte) string {
	if len(word) < 3 || word[0] < 'A' || word[0] > 'Z' {
		return ""
	}
	for _, method := range [...]string{"GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"} {
		if string(word) == method {
			return method
		}
	}
	return ""
}
