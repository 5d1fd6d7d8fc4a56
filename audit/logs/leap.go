package logs

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
)

const (
	// maxWords is how many words of guarded paths are looked for; each beyond the first is
	// a pass of its own. Where there are more, going over every line costs no more.
	maxWords = 4
	// crowded is how many stretches are gone over line by line after one in which every
	// other line had to be judged.
	crowded = 16
)

// leap finds the lines that may be evidence without going over the others: those that
// hold one of several words. In an access log these are words of the guarded paths, if
// there are any; there, a refusal behind a quote counts as well, and a "%", behind which
// such a word may hide. The judge of every line judges the lines that are found.
//
// In an access log that is all there can be. A path that the router takes for a guarded
// one is spelt with escapes, or has each of its parts between slashes as it is: doubled
// slashes and dots add parts and take none away.
type leap struct {
	word   needle
	more   needles
	access bool
	texts  int
	rest   int // stretches still to be gone over line by line
}

// newLeap answers nil where looking at every line is the only way, or the best.
func newLeap(d *dialect) *leap {
	l := &leap{access: d.format == Access}
	words := d.needles
	if l.access {
		if !vectors() {
			return nil
		}
		if len(d.guard.paths) == 0 {
			return l
		}
		if words = d.guard.parts(); len(words) > maxWords {
			return nil
		}
	}
	if len(words) == 0 {
		return nil
	}
	l.word, l.more = needle{text: words[0]}, newNeedles(words[1:])
	return l
}

// parts are the longest parts of the guarded paths, with the slash before them, each
// once; nil where a path has none that could be looked for.
func (g guards) parts() [][]byte {
	var parts [][]byte
	for _, path := range g.paths {
		var longest string
		for part := range strings.SplitSeq(path, "/") {
			if len(part) > len(longest) {
				longest = part
			}
		}
		if len(longest) < 2 || path[0] != '/' || strings.Contains(longest, `"`) {
			return nil
		}
		part := []byte("/" + longest)
		if !slices.ContainsFunc(parts, func(p []byte) bool { return bytes.Equal(p, part) }) {
			parts = append(parts, part)
		}
	}
	return parts
}

// ready begins with another stretch; it reports whether leaping is worth it.
func (l *leap) ready(text []byte) bool {
	if l.rest > 0 {
		l.rest--
		return false
	}
	if l.texts%resample == 0 && len(l.word.text) > 0 {
		l.word.choose(text[:min(len(text), sampleSize)])
	}
	l.texts++
	l.more.reset(text)
	return true
}

// next is the next place of text, from its beginning on, that may matter, and how many
// newlines are before it; an at below 0 is as pair's.
func (l *leap) next(text []byte) (at, lines int) {
	if len(l.word.text) == 0 {
		return refused(text)
	}
	first, gap := l.word.pair()
	a, b := l.word.text[first], l.word.text[first+gap]
	if l.access {
		return refusal(text, gap, a, b)
	}
	return pair(text, gap, a, b)
}

// matters reports whether the line around data[at], where next stopped, may be evidence.
func (l *leap) matters(data []byte, at int) bool {
	if l.access && (data[at] == '"' || data[at] == '%') {
		return true
	}
	first, _ := l.word.pair()
	return at >= first && bytes.HasPrefix(data[at-first:], l.word.text)
}

// leaps finds records by leaps.
func (f *finder) leaps(out *found) {
	l := f.leap
	judged, before := 0, out.lines
	line := 0 // the newest beginning of a line that is known
	for at := 0; at < f.end; {
		stop, until := f.end, f.end
		if i := l.more.from(at); i >= 0 && i < f.end {
			stop, until = i, i+1
		}
		i, n := l.next(f.data[at:stop])
		out.lines += int64(n)
		if i >= 0 {
			at += i
			if !l.matters(f.data, at) {
				at++
				continue
			}
			until = at + 1
		} else {
			at += -1 - i // what is left is too little to leap over
		}
		line = lineStart(f.data[:at], line)
		line, n = f.step(out, line, until)
		judged += n
		at = line
	}
	if lines := out.lines - before; lines >= 64 && int64(judged) > lines/2 {
		l.rest = crowded
	}
}

// lineStart is where the last line of data begins, which is not before from.
func lineStart(data []byte, from int) int {
	at := len(data)
	for ; at-from >= 8; at -= 8 {
		word := binary.LittleEndian.Uint64(data[at-8:]) ^ newlines
		// The topmost bit of each byte that is zero, exactly.
		if zero := ^((word&^tops + ^uint64(tops)) | word) & tops; zero != 0 {
			return at - bits.LeadingZeros64(zero)/8
		}
	}
	for ; at > from; at-- {
		if data[at-1] == '\n' {
			return at
		}
	}
	return from
}
