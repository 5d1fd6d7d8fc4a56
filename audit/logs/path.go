package logs

import (
	"bytes"
	"encoding/binary"
	"strings"

	"rekey/audit"
)

const (
	maxPath  = 200 // runes of a path that are kept
	maxAgent = 200 // runes of an agent that are kept
)

// canonical is a request target as the server's router sees it: without scheme,
// host, query and fragment, percent-decoded, slashes collapsed, dots resolved. A
// visitor picks the spelling; `/api//%72evalidate/` and `http://x/api/revalidate/`
// reach the view all the same, and must not reach it unseen.
func canonical(target string) string {
	if !strings.HasPrefix(target, "/") {
		if _, rest, ok := strings.Cut(target, "://"); ok {
			slash := strings.IndexByte(rest, '/')
			if slash < 0 {
				return "/"
			}
			target = rest[slash:]
		}
	}
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	if strings.IndexByte(target, '%') >= 0 {
		target = decode(target)
	}
	if !strings.Contains(target, "//") && !strings.Contains(target, "/.") {
		return target
	}
	var kept []string
	parts := strings.Split(target, "/")
	for _, part := range parts {
		switch part {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, part)
		}
	}
	clean := "/" + strings.Join(kept, "/")
	if last := parts[len(parts)-1]; clean != "/" && (last == "" || last == "." || last == "..") {
		clean += "/"
	}
	return clean
}

// decode resolves percent escapes, leaving malformed ones as they are.
func decode(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, ok1 := unhex(s[i+1])
			lo, ok2 := unhex(s[i+2])
			if ok1 && ok2 {
				b = append(b, hi<<4|lo)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// guards holds a query's endpoints, ready for comparing.
type guards struct {
	paths   []string // canonical, without the trailing slash
	methods []string
	heads   []head8
}

func newGuards(endpoints []Endpoint) guards {
	var g guards
	for _, e := range endpoints {
		g.paths = append(g.paths, bare(canonical(e.Path)))
		g.methods = append(g.methods, e.Method)
		g.heads = append(g.heads, newHead(g.paths[len(g.paths)-1]))
	}
	return g
}

// bare drops the trailing slash: Django's APPEND_SLASH and proxies treat both
// spellings as one endpoint.
func bare(path string) string {
	if len(path) > 1 {
		return strings.TrimSuffix(path, "/")
	}
	return path
}

// find is the index of the endpoint that method and path (canonical) belong to, or
// -1. An unknown method belongs to all.
func (g guards) find(method, path string) int {
	path = bare(path)
	for i, p := range g.paths {
		if p != path {
			continue
		}
		switch {
		case method == "" || strings.EqualFold(g.methods[i], method):
			return i
		case g.methods[i] == "" && method != "OPTIONS":
			return i
		}
	}
	return -1
}

// near reports cheaply whether a request line may ask for a guarded path in some
// spelling. It may say yes wrongly, never no.
func (g *guards) near(request []byte) bool {
	if len(g.paths) == 0 {
		return false
	}
	from := afterMethod(request)
	return from == 0 || g.nearTarget(request[from:])
}

// nearTarget is near for a target, whatever follows it.
func (g *guards) nearTarget(target []byte) bool {
	if len(g.paths) == 0 {
		return false
	}
	if len(target) < 8 || target[0] != '/' {
		return true
	}
	first := binary.LittleEndian.Uint64(target)
	for i := range g.heads {
		if h := &g.heads[i]; (first^h.bytes)&h.mask == 0 && (len(h.path) <= 8 || bytes.HasPrefix(target, h.path)) {
			return true
		}
	}
	return odd(target) && oddPath(target)
}

// oddPath is odd without what follows a question mark, byte by byte.
func oddPath(target []byte) bool {
	path, _, _ := bytes.Cut(target, []byte("?"))
	return bytes.IndexByte(path, '%') >= 0 || bytes.Contains(path, []byte("//")) || bytes.Contains(path, []byte("/."))
}

// head8 is how a guarded path begins, to be compared at once: its first eight bytes as
// a number, and which of them there are.
type head8 struct {
	bytes, mask uint64
	path        []byte
}

func newHead(path string) head8 {
	h := head8{path: []byte(path)}
	for i := range min(8, len(path)) {
		h.bytes |= uint64(path[i]) << (8 * i)
		h.mask |= 0xff << (8 * i)
	}
	return h
}

// afterMethod is where the target of a request line begins, if that begins with a
// slash, as nearly all do; 0 leaves the judgement to splitRequest.
func afterMethod(request []byte) int {
	for i, c := range request[:min(len(request), 16)] {
		if c == ' ' && i >= 3 && i+1 < len(request) && request[i+1] == '/' {
			return i + 1
		}
		if c < 'A' || c > 'Z' {
			break
		}
	}
	return 0
}

// Eight copies of a byte.
const (
	ones     = 0x0101010101010101
	tops     = 0x80 * ones
	slashes  = '/' * ones
	percents = '%' * ones
	newlines = '\n' * ones
)

// odd reports whether s may hold a "%", or a slash before a slash or a full stop,
// without which a path is spelt as the router sees it. Eight bytes at a time: in x,
// a byte equal to the one sought is zero, and of a zero byte alone the lowest such
// bit of (x-ones)&^x&tops is set. Higher bits may be set wrongly, which only costs.
func odd(s []byte) bool {
	var carry uint64 // the last byte was a slash
	for len(s) >= 8 {
		word := binary.LittleEndian.Uint64(s)
		p := word ^ percents
		slash := word ^ slashes
		slash = (slash - ones) &^ slash & tops
		either := (word | ones) ^ slashes // '.' is '/' without the lowest bit
		either = (either - ones) &^ either & tops
		if (p-ones)&^p&tops != 0 || (slash<<8|carry)&either != 0 {
			return true
		}
		carry = slash >> 56
		s = s[8:]
	}
	last := carry != 0
	for _, c := range s {
		if c == '%' || last && (c == '/' || c == '.') {
			return true
		}
		last = c == '/'
	}
	return false
}

// shown is a canonical path as a record keeps it.
func shown(path string) string { return audit.Clean(path, maxPath) }
