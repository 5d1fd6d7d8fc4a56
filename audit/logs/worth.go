package logs

import (
	"bytes"
	"slices"
)

// Needles are strings of which every line of evidence holds at least one.
var (
	securityNeedles = [][]byte{phrase}
	djangoNeedles   = [][]byte{phrase, unauthorized, []byte("Forbidden"), []byte(`" 401 `), []byte(`" 403 `)}
)

// seekable answers strings of which every line of evidence holds at least one; nil means that
// there are none and every line must be looked at.
//
// An answer is written in digits, a message in letters, a path as it is or escaped. Of a
// guarded path the longest run of letters and digits is looked for: no spelling of the
// path can do without it, except one that escapes a letter. So escapes are needles, too.
func (d *dialect) seekable() [][]byte {
	switch d.format {
	case Access:
		return nil
	case Django:
		return djangoNeedles
	case Security:
		return securityNeedles
	case Custom:
		if d.pattern.refuses() { // by words of its own
			d.words = d.pattern.needles
			return d.words
		}
	}
	d.words = [][]byte{phrase, []byte("nauthorized: "), []byte("orbidden")}
	for _, path := range d.guard.paths {
		run := longestRun(path)
		if len(run) < 3 {
			return nil
		}
		d.words = append(d.words, []byte(run))
	}
	if d.format == Auto || d.format == JSON { // which may hold lines of another's
		d.words = append(d.words, nginxNeedle, apacheNeedle)
	}
	list := append(slices.Clone(d.words), []byte("401"), []byte("403"))
	if d.format != Custom {
		list = append(list, []byte(`\u00`))
	}
	if len(d.guard.paths) > 0 {
		list = append(list, []byte("%"))
	}
	return list
}

// longestRun is the longest run of characters of path that are written as they are in
// every format.
func longestRun(path string) string {
	best, from := "", 0
	for i := 0; i <= len(path); i++ {
		if i < len(path) && (path[i] == '-' || path[i] == '_' || isDigit(path[i]) || path[i] >= 'a' && path[i] <= 'z' || path[i] >= 'A' && path[i] <= 'Z') {
			continue
		}
		if i-from > len(best) {
			best = path[from:i]
		}
		from = i + 1
	}
	return best
}

// judge is parse for a line in which a needle was found. Most such lines hold nothing but
// a 401 in the middle of a longer number, or an escape that stands for no letter, and are
// left at that: a fifth of what parsing them would cost.
func (d *dialect) judge(line []byte) (Record, bool) {
	if !d.worth(line) {
		return Record{}, false
	}
	return d.parse(line)
}

func (d *dialect) worth(line []byte) bool {
	if d.format.telling() || d.answered(line) {
		return true
	}
	for _, needle := range d.words {
		if bytes.Contains(line, needle) {
			return true
		}
	}
	return d.format != Custom && signAfter(line, []byte(`\u00`)) || len(d.guard.paths) > 0 && signAfter(line, []byte("%"))
}

// answered reports whether line holds 401 or 403 by itself; for a pattern, which may cut
// out of the middle of a number, anywhere.
func (d *dialect) answered(line []byte) bool {
	for rest := line; ; {
		i := bytes.Index(rest, []byte("40"))
		if i < 0 || i+2 == len(rest) {
			return false
		}
		if c := rest[i+2]; (c == '1' || c == '3') &&
			(d.format == Custom || (i == 0 || !isDigit(rest[i-1])) && (i+3 == len(rest) || !isDigit(rest[i+3]))) {
			return true
		}
		rest = rest[i+1:]
	}
}

// signAfter reports whether an escape that mark begins may stand for a character of a
// needle: in hexadecimal, 20 to 7F.
func signAfter(line, mark []byte) bool {
	for rest := line; ; {
		i := bytes.Index(rest, mark)
		if i < 0 || i+len(mark) >= len(rest) {
			return false
		}
		rest = rest[i+len(mark):]
		if rest[0] >= '2' && rest[0] <= '7' {
			return true
		}
	}
}
