package logs

import (
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
}

func newGuards(endpoints []Endpoint) guards {
	var g guards
	for _, e := range endpoints {
		g.paths = append(g.paths, bare(canonical(e.Path)))
		g.methods = append(g.methods, e.Method)
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

// maybe reports cheaply whether target can be a guarded path in some spelling. It
// may say yes wrongly, never no: almost every line of a big log ends here.
func (g guards) maybe(target []byte) bool {
	if len(g.paths) == 0 {
		return false
	}
	for _, p := range g.paths {
		if len(target) >= len(p) && string(target[:len(p)]) == p {
			return true
		}
	}
	if len(target) == 0 || target[0] != '/' {
		return true
	}
	for i, c := range target {
		switch c {
		case '?':
			return false
		case '%':
			return true
		case '/':
			if i+1 < len(target) && (target[i+1] == '/' || target[i+1] == '.') {
				return true
			}
		}
	}
	return false
}

// shown is a canonical path as a record keeps it.
func shown(path string) string { return audit.Clean(path, maxPath) }
