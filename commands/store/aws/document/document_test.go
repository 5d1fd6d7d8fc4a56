package document_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/aws/document"
)

// Guide: aws/json-secret
func TestOneKeyChangesAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, published, retired string }{
		"compact":        {`{"X":"old","n":1.50}`, `{"X":"new","X_OLD":"old","n":1.50}`, `{"X":"new","n":1.50}`},
		"pretty":         {"{\n  \"a\": [1, {\"X\": \"}\"}],\n  \"X\": \"old\"\n}\n", "{\n  \"a\": [1, {\"X\": \"}\"}],\n  \"X\": \"new\",\n  \"X_OLD\": \"old\"\n}\n", "{\n  \"a\": [1, {\"X\": \"}\"}],\n  \"X\": \"new\"\n}\n"},
		"strange spaces": {"\t{ \"X\" :\"old\" , \"z\":null}\r\n", "\t{ \"X\" :\"new\", \"X_OLD\" :\"old\" , \"z\":null}\r\n", "\t{ \"X\" :\"new\" , \"z\":null}\r\n"},
		"escaped key":    {`{"\u0058":"\u006fld","é":"\u00e9\/"}`, `{"\u0058":"new","X_OLD":"old","é":"\u00e9\/"}`, `{"\u0058":"new","é":"\u00e9\/"}`},
		"big numbers":    {`{"n":123456789012345678901234567890,"X":"old","e":1E400}`, `{"n":123456789012345678901234567890,"X":"new","X_OLD":"old","e":1E400}`, `{"n":123456789012345678901234567890,"X":"new","e":1E400}`},
		"other twice":    {`{"k":1,"X":"old","k":2}`, `{"k":1,"X":"new","X_OLD":"old","k":2}`, `{"k":1,"X":"new","k":2}`},
		"previous first": {`{"X_OLD": "", "X": "old"}`, `{"X_OLD": "old", "X": "new"}`, `{"X": "new"}`},
		"previous null":  {`{"X_OLD":null,"X":"old"}`, `{"X_OLD":"old","X":"new"}`, `{"X":"new"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			published := change(t, parse(t, c.before), "new", "old")
			if d := cmp.Diff(c.published, published.Text()); d != "" {
				t.Errorf("published (-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.retired, change(t, published, "new", "").Text()); d != "" {
				t.Errorf("retired (-want +got):\n%s", d)
			}
			if again := change(t, published, "new", "old"); again.Text() != published.Text() {
				t.Error("writing the same again changed the text")
			}
		})
	}
}

func parse(t *testing.T, text string) document.Document {
	t.Helper()
	d, err := document.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func change(t *testing.T, d document.Document, current, previous string) document.Document {
	t.Helper()
	d, err := d.With("X", secret.NewValue(current), "")
	if err == nil {
		d, err = d.With("X_OLD", secret.NewValue(previous), "X")
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWhatReadersReadDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		``:                             "no JSON object",
		`plain-canary`:                 "no JSON object",
		`"canary"`:                     "no object",
		`["canary"]`:                   "no object",
		`{"X":"canary"`:                "no JSON object",
		"\uFEFF{\"X\":\"canary\"}":     "no JSON object",
		"{\"X\":\"\xff\"}":             "no JSON object",
		`{"X":"canary","X":"canary2"}`: "twice",
		`{"X":"a","\u0058":"canary"}`:  "twice",
		`{"X":12345}`:                  "no text",
		`{"X":{"canary":1}}`:           "no text",
		`{"X":"canary\ud800"}`:         "half a character",
		`{"X":"\udc00\ud800 �"}`:       "half a character",
	} {
		d, err := document.Parse(text)
		if err == nil {
			_, _, err = d.Value("X")
		}
		if !errors.Is(err, store.ErrAmbiguous) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %v, want %v that says %q", text, err, store.ErrAmbiguous, says)
		}
	}
	if v, found, err := parse(t, `{"X":"\ud83d\ude00 \ufffd�"}`).Value("X"); err != nil || !found || v.Reveal() != "😀 \uFFFD\uFFFD" {
		t.Errorf("a whole pair of escapes was not read: %v", err)
	}
	if _, err := parse(t, `{"X":"a"}`).With("X", secret.NewValue("\xff"), ""); !errors.Is(err, store.ErrAmbiguous) {
		t.Errorf("half a character was written: %v", err)
	}
	if _, err := parse(t, `{"Y":"a"}`).With("X", secret.NewValue("b"), "Z"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a key was put behind one that is not there: %v", err)
	}
}

func TestADocumentNeverPrintsItself(t *testing.T) {
	t.Parallel()
	d := parse(t, `{"X":"canary-value"}`)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if strings.Contains(fmt.Sprintf(verb, d), "canary-value") {
			t.Errorf("%s shows the value", verb)
		}
	}
}

// Whatever the object and however it is written: what is asked for is what a decoder
// reads, the others read what they read before, and the way back ends at the first byte.
func TestAnyObject(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := object(t)
		current := rapid.StringN(1, 20, -1).Draw(t, "current")
		previous := rapid.StringN(1, 20, -1).Draw(t, "previous")
		d, err := document.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		before := decode(t, text)
		first, _, err := d.Value("X")
		if err != nil {
			t.Fatal(err)
		}
		next, err := d.With("X", secret.NewValue(current), "")
		if err == nil {
			next, err = next.With("X_OLD", secret.NewValue(previous), "X")
		}
		if err != nil {
			t.Fatal(err)
		}
		after := decode(t, next.Text())
		if after["X"] != any(current) || after["X_OLD"] != any(previous) {
			t.Fatalf("%q reads back as %v", next.Text(), after)
		}
		back, err := next.With("X_OLD", secret.Value{}, "X")
		if err == nil {
			back, err = back.With("X", first, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		delete(after, "X_OLD")
		after["X"] = before["X"]
		if d := cmp.Diff(before, after); d != "" {
			t.Fatalf("others changed: %s", d)
		}
		if plain, _ := json.Marshal(first.Reveal()); strings.Contains(text, `:`+string(plain)) && back.Text() != text {
			t.Fatalf("the way back ends at %q, not at %q", back.Text(), text)
		}
	})
}

// object draws an object with "X" in it, in any order and with any spaces.
func object(t *rapid.T) string {
	keys := rapid.MapOf(rapid.String(), rapid.SampledFrom([]string{`1.0`, `"x\u0041"`, `[ {"X": [] }, "}" ]`, `true`, `null`, `-0`, `{}`})).Draw(t, "members")
	delete(keys, "X_OLD")
	plain, _ := json.Marshal(rapid.StringMatching(`[a-z0-9]{1,12}`).Draw(t, "first"))
	keys["X"] = string(plain)
	space := func() string { return rapid.SampledFrom([]string{"", " ", "\n\t", "\r\n  "}).Draw(t, "space") }
	var members []string
	for _, k := range rapid.Permutation(slices.Sorted(maps.Keys(keys))).Draw(t, "order") {
		name, _ := json.Marshal(k)
		gap := space()
		if k == "X" {
			gap = ""
		}
		members = append(members, space()+string(name)+space()+":"+gap+keys[k]+space())
	}
	return space() + "{" + strings.Join(members, ",") + "}" + space()
}

func decode(t *rapid.T, text string) map[string]any {
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return m
}
