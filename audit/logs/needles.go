package logs

import "bytes"

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
	}
	list := [][]byte{phrase, []byte("nauthorized: "), []byte("orbidden"), []byte("401"), []byte("403")}
	if d.format != Custom {
		list = append(list, []byte(`\u00`))
	}
	if len(d.guard.paths) > 0 {
		list = append(list, []byte("%"))
	}
	for _, path := range d.guard.paths {
		run := longestRun(path)
		if len(run) < 3 {
			return nil
		}
		list = append(list, []byte(run))
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

// every judges every line in turn, where there is nothing to look for.
func (b *block) every(out *found) {
	for at := 0; at < b.end; {
		line, next := b.data[at:], len(b.data)
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, next = line[:i], at+i+1
		}
		out.lines++
		if r, ok := b.dialect.parse(trimLine(line, b.file.sizes.line)); ok {
			b.keep(out, r, at)
		}
		at = next
	}
}
