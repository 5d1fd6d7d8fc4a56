package bundle_test

import (
	"fmt"
	"strings"
	"testing"
)

// A value stays out of a bundle however often it was escaped on its way into a log.
func TestAnEscapedValueIsMasked(t *testing.T) {
	t.Parallel()
	escape := func(s, format string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, format, c)
		}
		return b.String()
	}
	once := escape(value, "%%%02X")
	for name, form := range map[string]string{
		"percent": once, "percent lower": escape(value, "%%%02x"), "some bytes": value[:9] + escape(value[9:12], "%%%02x") + value[12:],
		"twice": strings.ReplaceAll(once, "%", "%25"), "nginx": escape(value, `\x%02X`),
		"across what parts words": value[:7] + `" ` + value[7:9] + "%20" + value[9:],
	} {
		line := `203.0.113.66 - - "GET /api/?key=` + form + `&x=100%25 HTTP/1.1" 403 - "a%zz%"`
		files, _ := unpacked(t, packed(t, contents(lineAt("access.log", 1, line))))
		got := files["lines/01-access.log.jsonl"]
		if name == "across what parts words" { // no whole value stands there
			if !strings.Contains(got, "%20") {
				t.Errorf("%s: %s", name, got)
			}
			continue
		}
		if strings.Contains(got, form) || !strings.Contains(got, `key=[redacted]&x=100%25 HTTP/1.1`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	files, _ := unpacked(t, packed(t, contents(lineAt("access.log", 1, "plain 100% and %41 and \\x41"))))
	if got := files["lines/01-access.log.jsonl"]; !strings.Contains(got, `plain 100% and %41 and \\x41`) {
		t.Errorf("a line without a value was changed: %s", got)
	}
}
