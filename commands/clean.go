package commands

import (
	"regexp"
	"strings"
	"unicode"
)

// straight undoes what keyboards and Slack's composer put in the place of what was
// meant: curly quotes, dashes for "--", and the three characters Slack escapes.
var straight = strings.NewReplacer(
	"“", `"`, "”", `"`, "„", `"`, "«", `"`, "»", `"`, "‘", "'", "’", "'", "‚", "'",
	"&lt;", "<", "&gt;", ">", "&amp;", "&",
)

// link is Slack's form of what it recognised: <mailto:a@b|a@b>, <https://x|x>,
// <@U123|alice>, <#C123|general>, <!here>.
var link = regexp.MustCompile(`<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>`)

// clean answers text as its writer meant it, on one line.
func clean(text string) string {
	// Links come first: an escaped &lt;x&gt; is text that looks like one.
	text = link.ReplaceAllStringFunc(text, func(s string) string {
		m := link.FindStringSubmatch(s)
		shown := m[3]
		if shown == "" {
			shown = strings.TrimPrefix(m[2], "mailto:")
		}
		return strings.Replace(m[1], "!", "@", 1) + shown
	})
	text = straight.Replace(text)
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.Cf, r), unicode.IsControl(r), r == unicode.ReplacementChar:
			return -1 // zero-width characters, soft hyphens, direction marks
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// word strips what people put around one: `NAME`, *NAME*, "NAME", NAME,
func word(token string) string {
	for {
		trimmed := strings.Trim(token, "`*~\"'")
		trimmed = strings.TrimRight(trimmed, ",;:.!?")
		if len(trimmed) > 2 && trimmed[0] == '_' && trimmed[len(trimmed)-1] == '_' {
			trimmed = trimmed[1 : len(trimmed)-1]
		}
		if trimmed == token {
			return token
		}
		token = trimmed
	}
}

// keyword is word in lower case, with a dash of any length for "--".
func keyword(token string) string {
	token = strings.ToLower(word(token))
	if rest := strings.TrimLeft(token, "—–"); rest != token {
		return "--" + strings.TrimLeft(rest, "-")
	}
	return token
}
