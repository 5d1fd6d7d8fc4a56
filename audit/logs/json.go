package logs

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deeply objects may be nested and still be looked into.
const maxDepth = 32

// jsonReader walks through one JSON object (RFC 8259) and hands the members that the
// table of names knows to its fields. It looks up and decodes no others.
//
// It is laxer than the standard where writers are: a line that was cut off or is broken
// behind some member still says what stands before, since whoever can break a line must
// not be able to hide it; and \x22 is read, which nginx writes unless told escape=json.
type jsonReader struct {
	s    []byte
	i    int
	path []byte
	f    *fields
}

// opensJSON reports whether s begins like a JSON object.
func opensJSON(s []byte) bool {
	if len(s) == 0 || s[0] != '{' {
		return false
	}
	s = bytes.TrimLeft(s[1:], " \t\r")
	return len(s) > 0 && (s[0] == '"' || s[0] == '}')
}

// readJSON reads the object that s begins with.
func (f *fields) readJSON(s []byte) {
	f.json = jsonReader{s: s, path: f.json.path[:0], f: f}
	f.json.object(0)
}

func (j *jsonReader) peek() byte {
	for j.i < len(j.s) {
		switch c := j.s[j.i]; c {
		case ' ', '\t', '\r', '\n':
			j.i++
		default:
			return c
		}
	}
	return 0
}

// object reads an object; false means that nothing sound can follow.
func (j *jsonReader) object(depth int) bool {
	j.i++
	if j.peek() == '}' {
		j.i++
		return true
	}
	for j.peek() == '"' {
		key, escaped, ok := j.raw()
		if !ok || j.peek() != ':' {
			return false
		}
		j.i++
		mark := len(j.path)
		if depth > 0 {
			j.path = append(j.path, '.')
		}
		if escaped {
			j.path = unescape(j.path, key)
		} else {
			j.path = append(j.path, key...)
		}
		ok = j.value(depth, 0)
		j.path = j.path[:mark]
		if !ok {
			return false
		}
		switch j.peek() {
		case ',':
			j.i++
		case '}':
			j.i++
			return true
		default:
			return false
		}
		j.peek()
	}
	return false
}

// value reads any value; index is its place in a list of values.
func (j *jsonReader) value(depth, index int) bool {
	switch c := j.peek(); c {
	case 0:
		return false
	case '"':
		s, escaped, ok := j.raw()
		if ok {
			j.f.member(j.path, s, escaped, index)
		}
		return ok
	case '{':
		if depth >= maxDepth {
			return j.skip()
		}
		return j.object(depth + 1)
	case '[':
		return j.list(depth)
	default:
		from := j.i
		for j.i < len(j.s) && strings.IndexByte(",]} \t\r\n\"", j.s[j.i]) < 0 {
			j.i++
		}
		if isDigit(c) {
			j.f.member(j.path, j.s[from:j.i], false, index)
		}
		return j.i > from
	}
}

// list reads a list. Its texts and numbers go by its own name, objects in it by another
// that no table holds: what is one of several says nothing about the line.
func (j *jsonReader) list(depth int) bool {
	if depth >= maxDepth {
		return j.skip()
	}
	j.i++
	if j.peek() == ']' {
		j.i++
		return true
	}
	for index := 0; ; index++ {
		mark := len(j.path)
		if c := j.peek(); c == '{' || c == '[' {
			j.path = append(j.path, "[]"...)
		}
		ok := j.value(depth+1, index)
		j.path = j.path[:mark]
		if !ok {
			return false
		}
		switch j.peek() {
		case ',':
			j.i++
		case ']':
			j.i++
			return true
		default:
			return false
		}
	}
}

// skip passes over what is nested too deeply.
func (j *jsonReader) skip() bool {
	for depth := 0; j.i < len(j.s); {
		switch j.s[j.i] {
		case '"':
			if _, _, ok := j.raw(); !ok {
				return false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				j.i++
				return true
			}
		}
		j.i++
	}
	return false
}

// raw passes over a string and answers what is between its quotes.
func (j *jsonReader) raw() (s []byte, escaped, ok bool) {
	end := quote(j.s, j.i+1)
	if end < 0 {
		j.i = len(j.s)
		return nil, false, false
	}
	s = j.s[j.i+1 : end]
	j.i = end + 1
	return s, bytes.IndexByte(s, '\\') >= 0, true
}

// unescape appends s to dst with its escapes resolved. Those that are none stay as they
// are.
func unescape(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if s[i] != '\\' || i+1 == len(s) {
			dst = append(dst, s[i])
			i++
			continue
		}
		switch c := s[i+1]; c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, ok := hex4(s[i+2:])
			if !ok {
				dst = append(dst, '\\', 'u')
				break
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if len(s) > i+3 && s[i+2] == '\\' && s[i+3] == 'u' {
					low, ok = hex4(s[i+4:])
				}
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		case 'x':
			// What nginx escapes so is never a letter: what must not be read without it.
			if v, ok := hex2(s[i+2:]); ok && (v == '"' || v == '\\' || v < ' ' || v > '~') {
				dst = append(dst, v)
				i += 2
				break
			}
			dst = append(dst, '\\', 'x')
		default:
			dst = append(dst, '\\', c)
		}
		i += 2
	}
	return dst
}

func hex2(s []byte) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	hi, ok1 := unhex(s[0])
	lo, ok2 := unhex(s[1])
	return hi<<4 | lo, ok1 && ok2
}

func hex4(s []byte) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	hi, ok1 := hex2(s)
	lo, ok2 := hex2(s[2:])
	return rune(hi)<<8 | rune(lo), ok1 && ok2
}
