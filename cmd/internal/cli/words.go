package cli

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// The same sentences are said in Slack and on a terminal, and some of them name a
// command. slackWords turns those into what a terminal takes.
var slackWords = []struct {
	form *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(^|[^\w/])/rotate help\b`), "${1}rekey --help"},
	{regexp.MustCompile(`(^|[^\w/])/rotate list\b`), "${1}rekey list"},
	{regexp.MustCompile(`(^|[^\w/])/rotate status\b`), "${1}rekey runs"},
	{regexp.MustCompile(`(^|[^\w/])/rotate schedule\b`), "${1}rekey schedule"},
	{regexp.MustCompile(`(^|[^\w/])/rotate (rollback|kill|hold)\b`), "${1}rekey ${2}"},
	{regexp.MustCompile(`(^|[^\w/])/rotate digest\b`), "${1}rekey digest"},
	{regexp.MustCompile(`(^|[^\w/])/rotate\b`), "${1}rekey rotate"},
	{regexp.MustCompile(`(^|[^\w/])/audit-secret\b`), "${1}rekey audit-secret"},
	{regexp.MustCompile(`<#(\w+)>`), "the Slack channel $1"},
}

func words(text string) string {
	for _, w := range slackWords {
		text = w.form.ReplaceAllString(text, w.with)
	}
	return text
}

// columns is how wide text for people may be.
const columns = 80

// wrap breaks lines after 80 columns, between words, and indents what follows. A word
// that is longer (a path, a hash) stays whole, to be copied.
func wrap(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if utf8.RuneCountInString(line) > columns {
			lines[i] = wrapLine(line)
		}
	}
	return strings.Join(lines, "")
}

// unit is a number with its unit; the two stay together.
var unit = regexp.MustCompile(`(\d) (s|min|h|days)\b`)

func wrapLine(line string) string {
	body := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(body)]
	next := "\n" + indent + "  "
	if strings.HasPrefix(body, "- ") || indent == "  " {
		next += "  "
	}
	var b strings.Builder
	b.WriteString(indent)
	at := len(indent)
	body = unit.ReplaceAllString(strings.TrimSuffix(body, "\n"), "$1\u00a0$2")
	for i, word := range strings.SplitAfter(body, " ") {
		bare := utf8.RuneCountInString(strings.TrimSuffix(word, " "))
		if i > 0 && at+bare >= columns {
			b.WriteString(next)
			at = len(next) - 1
		}
		b.WriteString(word)
		at += utf8.RuneCountInString(word)
	}
	out := strings.NewReplacer(" \n", "\n", "\u00a0", " ").Replace(b.String())
	if strings.HasSuffix(line, "\n") {
		out += "\n"
	}
	return out
}
