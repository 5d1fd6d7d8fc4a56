package dotenv

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// style is how a value is quoted.
type style byte

const (
	bare     style = 0
	single   style = '\''
	double   style = '"'
	backtick style = '`' // Next.js alone knows it
)

// Portable answers nil when python-dotenv, django-environ and Next.js can be made to
// read v alike from a .env file, otherwise store.ErrAmbiguous with the reason. All
// hex and base64 values are portable.
func Portable(v secret.Value) error {
	_, err := quote(v, bare)
	return err
}

// Portable is the function of that name, for an engine that knows stores alone.
func (s *Store) Portable(v secret.Value) error { return Portable(v) }

// quote writes v in style s, or in the first other style in which all loaders read
// it alike.
func quote(v secret.Value, s style) (string, error) {
	text := v.Reveal()
	why := ""
	for _, s := range []style{s, bare, single, double} {
		if why = s.unfit(text); why == "" {
			if s == bare {
				return text, nil
			}
			return string(s) + text + string(s), nil
		}
	}
	return "", fmt.Errorf("the value to be written would be %w: %s", store.ErrAmbiguous, why)
}

// unfit says why text should not be written in style s. It is stricter than fault:
// what may be misread under some setting of a loader is read, but not written.
func (s style) unfit(text string) string {
	switch {
	case s == backtick:
		return "only Next.js knows backticks"
	case text == "":
		return "it is empty"
	case s == bare && (text[0] == '#' || strings.ContainsAny(text, " \t")):
		return "blanks need quotes"
	case s == single && strings.HasSuffix(text, `\`):
		return `a \ before the closing quote would escape it`
	case s == double && strings.Contains(text, "#"):
		return "it holds both a ' and a #, and django-environ may take the # for a comment"
	}
	return s.fault(text)
}

// fault says why loaders disagree about the inner text of a value in style s; "" when
// they agree. The rules are those of python-dotenv 1.x (parser.py, variables.py),
// django-environ 0.12 (read_env and the proxying of values that begin with $) and
// @next/env 15 (dotenv 16 with dotenv-expand).
func (s style) fault(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "it is not UTF-8"
	case strings.ContainsAny(text, "\r\n"):
		return "it spans lines, which django-environ does not read; keep it on one line"
	case strings.ContainsFunc(text, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }):
		return "it holds a character that cannot be printed"
	case strings.Contains(text, "$"):
		return "it holds a $, which Next.js expands even in single quotes and Python does not; choose a value without one"
	}
	switch s {
	case bare:
		switch {
		case strings.HasPrefix(text, "'") || strings.HasPrefix(text, `"`) || strings.HasPrefix(text, "`"):
			return "it begins with a quote"
		case strings.Contains(text, "#"):
			return "it holds a # outside quotes, where Next.js ends the value; put it in single quotes"
		}
	case single:
		switch {
		case strings.Contains(text, `\\`) || strings.Contains(text, `'`):
			return `it holds \\ or ' in single quotes, which python-dotenv unescapes and Next.js does not`
		case len(text) > 1 && text[0] == '"' && text[len(text)-1] == '"':
			return "it is quoted twice, and django-environ removes both"
		}
	case double:
		if strings.ContainsAny(text, `\"`) {
			return `it holds a \ or a " in double quotes, which each loader unescapes in its own way; put it in single quotes`
		}
	case backtick:
		return "only Next.js knows backticks; put it in single quotes"
	}
	return ""
}
