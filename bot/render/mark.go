package render

import (
	"strings"
	"unicode"
	"unicode/utf16"
)

// mark is text that is safe to send as mrkdwn. Only the functions of this file
// make marks from foreign text; literals convert by themselves.
type mark string

// clean makes foreign text one line of printable text: control and format
// characters (line breaks, terminal escapes, text-direction overrides, zero-width
// ones) become spaces or nothing, and runs of spaces one space.
func clean(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Cc, r):
			space = true
			continue
		case !unicode.IsGraphic(r):
			continue
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	return b.String()
}

// width counts as Slack's clients do, in UTF-16 units: never less than runes.
func width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	if n := utf16.RuneLen(r); n > 0 {
		return n
	}
	return 1
}

// cut shortens s to at most n units, whole runes, ending in "…" when it had to.
func cut(s string, n int) string { return fit(s, n, func(r rune) string { return string(r) }) }

// fit encodes s rune by rune and stops before the result is longer than n units;
// so an escape is never split.
func fit(s string, n int, encode func(rune) string) string {
	var b strings.Builder
	used, end := 0, -1 // end: length of b where there is still room for "…"
	for _, r := range s {
		e := encode(r)
		w := width(e)
		if used+w > n {
			return b.String()[:max(end, 0)] + "…"
		}
		b.WriteString(e)
		used += w
		if used <= n-1 {
			end = b.Len()
		}
	}
	return b.String()
}

// escape encodes what Slack gives a meaning: & < > start entities, mentions and
// links; a backtick would end a code span around it.
func escape(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '`':
		return "ˋ" // a letter that looks like one
	}
	return string(r)
}

// text is foreign text as running words, at most n units long.
func text(s string, n int) mark { return mark(fit(clean(s), n, escape)) }

// code is foreign text in a code span, where nothing is formatted; n units with
// its backticks.
func code(s string, n int) mark {
	s = clean(s)
	if s == "" {
		s = "(empty)"
	}
	return mark("`" + fit(s, max(n-2, 1), escape) + "`")
}

// prose is text of our own that may have several lines and code spans, at most n
// units long.
func prose(s string, n int) mark {
	var lines []string
	for line := range strings.Lines(s) {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		lines = append(lines, strings.Repeat(" ", min(indent, 12))+clean(line))
	}
	return mark(fit(strings.Join(lines, "\n"), n, func(r rune) string {
		if r == '`' {
			return "`"
		}
		return escape(r)
	}))
}

func join(ms []mark, sep string) mark {
	parts := make([]string, len(ms))
	for i, m := range ms {
		parts[i] = string(m)
	}
	return mark(strings.Join(parts, sep))
}
