package secret

import (
	"bytes"
	"database/sql/driver"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// canary occurs in no other text of these tests.
const canary = "canary-8f14e45fceea167a5a36dedd4bea2543"

// leaks reports whether s shows canary as itself, as hex or as decimal bytes.
func leaks(s string) bool {
	s = strings.ToLower(s)
	return strings.Contains(s, "canary") ||
		strings.Contains(s, fmt.Sprintf("%x", "canary")) ||
		strings.Contains(s, "99 97 110 97 114 121") ||
		strings.Contains(s, "y2fuyxj5") // base64, in lower case
}

type carrier struct {
	Value
}

type holder struct {
	Open   Value
	Ptr    *Value
	List   []Value
	Map    map[string]Value
	Any    any
	closed Value
}

func newHolder() holder {
	v := NewValue(canary)
	return holder{v, &v, []Value{v}, map[string]Value{"k": v}, v, v}
}

func TestValuePrintsNothingUnderEveryVerb(t *testing.T) {
	t.Parallel()
	v := NewValue(canary)
	h := newHolder()
	key := Key{v}
	shapes := map[string]any{
		"value": v, "pointer": &v, "slice": []Value{v}, "array": [1]Value{v}, "map": map[string]Value{"k": v},
		"key of a map": map[Value]int{v: 1}, "struct": h, "pointer to struct": &h, "embedded": carrier{v}, "key": key,
		"list of any": []any{v, &v, h}, "channelled": struct{ V any }{&v},
	}
	for name, shape := range shapes {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "20", ".3", "+#20.3"} {
			for _, verb := range "vTtbcdoOqxXUeEfFgGspwZ" {
				format := "%" + flags + string(verb)
				if got := fmt.Sprintf(format, shape); leaks(got) {
					t.Errorf("%s under %s leaks", name, format)
				}
				if got := fmt.Errorf("wrapped "+format, shape).Error(); leaks(got) {
					t.Errorf("%s in an error under %s leaks", name, format)
				}
			}
		}
		if got := fmt.Sprint(shape) + fmt.Sprintln(shape); leaks(got) {
			t.Errorf("%s printed leaks", name)
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s"} {
		if got := fmt.Sprintf(format, v); got != "[redacted]" {
			t.Errorf("%s gave %q", format, got)
		}
	}
}

func TestValueEncodesToNothing(t *testing.T) {
	t.Parallel()
	h := newHolder()
	encoders := map[string]func(*bytes.Buffer) error{
		"json":  func(b *bytes.Buffer) error { return json.NewEncoder(b).Encode(h) },
		"jsonp": func(b *bytes.Buffer) error { return json.NewEncoder(b).Encode(&h) },
		"json key": func(b *bytes.Buffer) error {
			return json.NewEncoder(b).Encode(map[Value]Value{h.Open: h.Open})
		},
		"xml": func(b *bytes.Buffer) error {
			type element struct {
				Attr Value `xml:"attr,attr"`
				Body Value
				Ptr  *Value
			}
			return xml.NewEncoder(b).Encode(element{h.Open, h.Open, h.Ptr})
		},
		"gob": func(b *bytes.Buffer) error {
			return gob.NewEncoder(b).Encode(struct {
				Open Value
				List []Value
			}{h.Open, h.List})
		},
		"yaml": func(b *bytes.Buffer) error { return yaml.NewEncoder(b).Encode(h) },
		"slog text": func(b *bytes.Buffer) error {
			slog.New(slog.NewTextHandler(b, nil)).With("w", h).Info("m", "v", h.Open, "p", h.Ptr, "h", h, "hp", &h, "l", h.List)
			return nil
		},
		"slog json": func(b *bytes.Buffer) error {
			slog.New(slog.NewJSONHandler(b, nil)).With("w", h).Info("m", "v", h.Open, "p", h.Ptr, "h", h, "hp", &h, "l", h.List)
			return nil
		},
		"go-cmp": func(b *bytes.Buffer) error {
			b.WriteString(cmp.Diff(h.List, []Value{NewValue(canary + "2")}))
			b.WriteString(cmp.Diff(h.Map, map[string]Value{"k": NewValue(canary + "2"), "l": h.Open}))
			return nil
		},
	}
	for name, encode := range encoders {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if leaks(b.String()) {
			t.Errorf("%s leaks", name)
		}
		if !strings.Contains(b.String(), redacted) {
			t.Errorf("%s does not say %s: %s", name, redacted, b.String())
		}
	}
	for _, m := range []encoding.TextAppender{h.Open} {
		if b, err := m.AppendText(nil); err != nil || string(b) != redacted {
			t.Errorf("AppendText: %q, %v", b, err)
		}
	}
	if b, err := h.Open.MarshalBinary(); err != nil || string(b) != redacted {
		t.Errorf("MarshalBinary: %q, %v", b, err)
	}
}

func TestValueIsNeverStoredNorRead(t *testing.T) {
	t.Parallel()
	v := NewValue(canary)
	if got, err := driver.DefaultParameterConverter.ConvertValue(v); !errors.Is(err, ErrNotStorable) {
		t.Errorf("as a query argument: %v, %v", got, err)
	}
	if _, err := driver.DefaultParameterConverter.ConvertValue(Key{v}); err == nil || leaks(err.Error()) {
		t.Errorf("a key as a query argument must be an error that shows nothing")
	}
	var read Value
	for name, err := range map[string]error{
		"json": json.Unmarshal([]byte(`"x"`), &read),
		"xml":  xml.Unmarshal([]byte(`<a>x</a>`), &read),
		"yaml": yaml.Unmarshal([]byte(`x`), &read),
		"scan": read.Scan("x"),
		"gob":  read.GobDecode(nil),
		"bin":  read.UnmarshalBinary(nil),
	} {
		if err == nil || !read.IsZero() {
			t.Errorf("%s filled a value", name)
		}
	}
}

func TestValueEqualAndReveal(t *testing.T) {
	t.Parallel()
	a, b := NewValue(canary), NewValue(strings.Clone(canary))
	if !a.Equal(b) || a.Equal(NewValue(canary+"x")) || a.Equal(Value{}) || !(Value{}).Equal(NewValue("")) {
		t.Error("Equal compares what the values say")
	}
	if a.Reveal() != canary || a.Len() != len(canary) || a.IsZero() {
		t.Error("Reveal answers the value")
	}
	if !NewValue("").IsZero() || (Value{}).Reveal() != "" {
		t.Error("the empty value is the zero Value")
	}
}

func TestValueInAPanic(t *testing.T) {
	t.Parallel()
	defer func() {
		if got := fmt.Sprint(recover()); leaks(got) {
			t.Error("a recovered panic leaks")
		}
	}()
	panic(NewValue(canary))
}

func TestKey(t *testing.T) {
	t.Parallel()
	k, err := NewKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(NewValue(k.Hex().Reveal() + "\n"))
	if err != nil || !again.Equal(k.Value) {
		t.Fatalf("reading a key back: %v", err)
	}
	if k.Derive("a").Equal(k.Derive("b").Value) || !k.Derive("a").Equal(again.Derive("a").Value) {
		t.Error("a label decides the derived key")
	}
	for _, bad := range []string{"", canary, strings.Repeat("a", 63), strings.Repeat("g", 64), strings.Repeat("a", 66)} {
		if _, err := ParseKey(NewValue(bad)); err == nil || leaks(err.Error()) {
			t.Errorf("a bad key of %d characters: %v", len(bad), err)
		}
	}
}

// TestDeriveIsRFC5869 pins the derivation: another answer would make every
// fingerprint and the whole chain of an existing installation unreadable.
func TestDeriveIsRFC5869(t *testing.T) {
	t.Parallel()
	k, err := ParseKey(NewValue(strings.Repeat("0b", 32)))
	if err != nil {
		t.Fatal(err)
	}
	const want = "bca9a3113147b0078cf8cb9d559682bf2ad087b25f6e0cf1eef85866c24496c9"
	if got := k.Derive(LabelLedger).Hex().Reveal(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
