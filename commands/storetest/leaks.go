package storetest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"rekey/commands/secret"
)

// AssertLeaksNoSecret prints things in every way a program prints (each fmt verb,
// JSON) and looks for the values, plain and encoded. The values themselves are not
// shown.
func AssertLeaksNoSecret(t testing.TB, values []secret.Value, things ...any) {
	t.Helper()
	for i, thing := range things {
		if thing == nil {
			continue
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			leaks(t, values, fmt.Sprintf(verb, thing), fmt.Sprintf("thing %d (%T) under %s", i, thing, verb))
		}
		// What cannot be encoded leaks nothing.
		if text, err := json.Marshal(thing); err == nil {
			leaks(t, values, string(text), fmt.Sprintf("thing %d (%T) as JSON", i, thing))
		}
	}
}

func leaks(t testing.TB, values []secret.Value, text, where string) {
	t.Helper()
	for n, v := range values {
		raw := v.Reveal()
		for form, shape := range map[string]string{
			"plain": raw, "hex": hex.EncodeToString([]byte(raw)), "base64": base64.RawStdEncoding.EncodeToString([]byte(raw)), "percent": url.QueryEscape(raw),
		} {
			if raw != "" && (strings.Contains(text, shape) || strings.Contains(text, strings.ToUpper(shape))) {
				t.Errorf("value %d shows (%s) in %s", n, form, where)
			}
		}
	}
}
