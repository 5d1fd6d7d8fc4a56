package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strconv"
	"strings"
)

// form is one way a value may be written in outgoing text.
type form struct{ name, text string }

// forms lists the ways v may be written. Several may be the same text; whoever
// fingerprints them keeps one.
func forms(v string) []form {
	fs := []form{
		{"raw", v},
		{"lower", strings.ToLower(v)},
		{"upper", strings.ToUpper(v)},
		{"hex", hex.EncodeToString([]byte(v))},
		{"hex-upper", strings.ToUpper(hex.EncodeToString([]byte(v)))},
	}
	fs = append(fs, base64Forms(v)...)
	fs = append(fs, percentForms(v)...)
	fs = append(fs, quotedForms(v)...)
	// A value of several lines is seen a line at a time by whatever reads lines.
	if lines := strings.FieldsFunc(v, func(r rune) bool { return r == '\n' || r == '\r' }); len(lines) > 1 {
		for _, l := range lines {
			fs = append(fs, form{"line", l})
		}
	}
	return fs
}

// base64Forms answers the characters that v alone decides when it is encoded as
// part of a larger text: there it starts at one of three alignments, and the
// characters at its ends mix in bits of its neighbours. The first alignment's are
// also those of v encoded by itself, padded or not.
func base64Forms(v string) []form {
	var fs []form
	for shift := range 3 {
		padded := string(make([]byte, shift)) + v
		from := (shift*8 + 5) / 6
		to := len(padded) * 8 / 6
		for _, e := range []struct {
			name string
			enc  *base64.Encoding
		}{{"base64", base64.RawStdEncoding}, {"base64url", base64.RawURLEncoding}} {
			text := e.enc.EncodeToString([]byte(padded))[from:to]
			fs = append(fs, form{e.name + "+" + strconv.Itoa(shift), text})
		}
	}
	return fs
}

// percentForms differ in which characters they leave alone, and in the case of
// their digits: Go's two, JavaScript's encodeURIComponent and Python's quote.
func percentForms(v string) []form {
	javascript := strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").
		Replace(url.QueryEscape(v))
	python := strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(v), "+", "%20"), "%2F", "/")
	fs := []form{
		{"query", url.QueryEscape(v)},
		{"path", url.PathEscape(v)},
		{"uricomponent", javascript},
		{"quote", python},
	}
	for _, f := range fs[:len(fs):len(fs)] {
		fs = append(fs, form{f.name + "-lower", lowerPercent(f.text)})
	}
	return fs
}

// lowerPercent turns %2F into %2f and leaves the rest alone.
func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
			i += 2
		}
	}
	return string(b)
}

// quotedForms are those of JSON, HTML, Slack's text, Go, shells and env files.
func quotedForms(v string) []form {
	escaped := jsonEscaped(v, true)
	return []form{
		{"json", escaped},
		{"json-plain", jsonEscaped(v, false)},
		{"json-json", jsonEscaped(escaped, true)}, // a JSON text inside another
		{"go", strings.Trim(strconv.Quote(v), `"`)},
		{"html", html.EscapeString(v)},
		{"html-python", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;").Replace(v)},
		{"slack", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(v)},
		{"shell-single", strings.ReplaceAll(v, "'", `'\''`)},
		{"shell-single-double", strings.ReplaceAll(v, "'", `'"'"'`)},
		{"shell-double", strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(v)},
		{"dotenv-double", strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "$", `\$`).Replace(v)},
		{"dotenv-single", strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(v)},
		{"shell-backslash", backslashed(v)},
	}
}

// backslashed is what printf %q of a shell writes: every special character escaped.
func backslashed(v string) string {
	var b strings.Builder
	for _, r := range v {
		if strings.ContainsRune(" !\"#$&'()*;<=>?[\\]^`{|}~", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func jsonEscaped(v string, forHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(forHTML)
	if err := e.Encode(v); err != nil {
		return v // a string always encodes
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
}
