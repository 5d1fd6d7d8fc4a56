package audit

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths of the runs Clean masks: an HMAC-SHA256 in hex is 64 digits and half of
// one is already too much; 32 random bytes are 44 characters of base64.
const (
	maskHex    = 32
	maskBase64 = 40
	masked     = "[masked]"
)

// Clean makes text that a visitor may have chosen fit to show: invalid UTF-8,
// control characters and invisible format characters (which can reverse or hide
// text) are dropped, values that look like credentials are masked, and the rest is
// cut to at most limit runes, never inside one.
//
// What counts as a credential is a matter of shape, since nobody here knows the
// values: 32 or more hex digits in a row, 40 or more base64 characters that mix
// upper case, lower case and digits, and whatever follows a telling name
// ("token=", "signature="). Ordinary long paths stay readable.
func Clean(text string, limit int) string {
	var b strings.Builder
	b.Grow(min(len(text), 4*limit+utf8.UTFMax))
	for _, r := range text {
		switch {
		case r == utf8.RuneError || unicode.Is(unicode.Cf, r):
		case r == '\t':
			b.WriteByte(' ')
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
		default:
			b.WriteRune(r)
		}
	}
	return cut(mask(maskNamed(b.String())), limit)
}

// cut shortens s to limit runes, the last of them an ellipsis when anything went.
func cut(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n == limit-1 {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// mask replaces every random-looking run of s.
func mask(s string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		if !isBase64(s[i]) {
			i++
			continue
		}
		j := i
		for j < len(s) && isBase64(s[j]) {
			j++
		}
		if looksRandom(s[i:j]) {
			b.WriteString(s[done:i])
			b.WriteString(masked)
			done = j
		} else if from, to := hexRun(s[i:j]); from >= 0 {
			b.WriteString(s[done : i+from])
			b.WriteString(masked)
			done = i + to
			j = i + to // the rest of the run may hold another
		}
		i = j
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// looksRandom reports whether run is long and mixes three kinds of characters, as
// base64 of random bytes does and a path of words does not.
func looksRandom(run string) bool {
	if len(run) < maskBase64 {
		return false
	}
	// A path is judged by its parts, because slashes and dots join words; base64
	// has about one slash in 64 characters, so one part of a real value stays long.
	var upper, lower, digit, slashes int
	for i := 0; i < len(run); i++ {
		switch c := run[i]; {
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= '0' && c <= '9':
			digit++
		case c == '/':
			slashes++
		}
	}
	return upper >= 3 && lower >= 3 && digit >= 2 && slashes*12 <= len(run)
}

// hexRun finds the first run of at least maskHex hex digits in s, as indexes, or -1.
func hexRun(s string) (from, to int) {
	start := -1
	for i := 0; i <= len(s); i++ {
		if i < len(s) && isHex(s[i]) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 && i-start >= maskHex {
			return start, i
		}
		start = -1
	}
	return -1, -1
}

// telling are names whose value is a credential whatever its shape.
var telling = []string{"token", "secret", "signature", "password", "passwd", "api_key", "apikey", "authorization", "sig"}

// maskNamed masks what follows a telling name and "=", as in a query or a log's
// key=value pairs. A colon is left alone: it ends a sentence as often as a name.
func maskNamed(s string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '=' || !endsTelling(s[:i]) {
			continue
		}
		j := i + 1
		quoted := j < len(s) && (s[j] == '"' || s[j] == '\'')
		if quoted {
			j++
		}
		from := j
		for j < len(s) && !strings.ContainsRune("&;,\"' )\\", rune(s[j])) {
			j++
		}
		if j == from {
			continue
		}
		b.WriteString(s[done:from])
		b.WriteString(masked)
		done, i = j, j-1
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

func endsTelling(head string) bool {
	for _, name := range telling {
		if len(head) >= len(name) && strings.EqualFold(head[len(head)-len(name):], name) {
			return true
		}
	}
	return false
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isBase64(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
		c == '+' || c == '/' || c == '_' || c == '-' || c == '=' || c == '%'
}
