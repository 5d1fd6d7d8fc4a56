// Package document changes single keys of a JSON object and leaves every other byte
// of it alone. It exists because a secret of a cloud store often holds several keys:
// to decode such a text and encode it again would reorder keys, round numbers and
// rewrite escapes under the eyes of all who read the other keys.
package document

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// Document is a JSON object as it was read. It is immutable and never prints itself.
type Document struct {
	// text is behind a function, as in secret.Value, so that printers that walk fields
	// by reflection find nothing.
	text    func() string
	members []member
}

// member is one "key": value of the object, by its place in the text.
type member struct {
	key      string
	lead     int // after the "{" or "," before the key
	key0     int // the key's opening quote
	key1     int // after its closing quote
	value0   int
	value1   int
	isString bool
}

// Parse reads a JSON object. Errors are store.ErrAmbiguous and hold nothing of text.
func Parse(text string) (Document, error) {
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return Document{}, fmt.Errorf("it holds no JSON object, so that no key of it can be found: %w", store.ErrAmbiguous)
	}
	p := scanner{text: text}
	if p.space(); p.text[p.at] != '{' {
		return Document{}, fmt.Errorf("it holds JSON that is no object, so that no key of it can be found: %w", store.ErrAmbiguous)
	}
	return Document{text: func() string { return text }, members: p.object()}, nil
}

// IsObject reports that text is a JSON object: one that holds keys.
func IsObject(text string) bool {
	_, err := Parse(text)
	return err == nil
}

// Text answers the whole object as it stands.
func (d Document) Text() string { return d.text() }

// Value answers what stands under key; found is false where there is no such key or
// it is null. ErrAmbiguous when the key stands there twice (readers disagree which
// one counts), or holds something else than a text that everybody reads alike.
func (d Document) Value(key string) (v secret.Value, found bool, err error) {
	m, found, err := d.find(key)
	if err != nil || !found {
		return secret.Value{}, false, err
	}
	raw := d.text()[m.value0:m.value1]
	if raw == "null" {
		return secret.Value{}, false, nil
	}
	if !m.isString {
		return secret.Value{}, false, fmt.Errorf("%q is no text in it (write it in quotes): %w", key, store.ErrAmbiguous)
	}
	s, ok := unquote(raw)
	if !ok {
		return secret.Value{}, false, fmt.Errorf("%q holds half a character (an unpaired \\u escape), which readers read differently: %w", key, store.ErrAmbiguous)
	}
	return secret.NewValue(s), true, nil
}

// With answers the object with v under key. Where v stands there already, and where v
// is zero and there is no text, nothing changes; a zero v otherwise removes the key. A
// new key goes right behind the key named after, written in the same manner; without
// that key it is store.ErrNotFound.
func (d Document) With(key string, v secret.Value, after string) (Document, error) {
	now, _, err := d.Value(key)
	if err != nil {
		return Document{}, err
	}
	if now.Equal(v) {
		return d, nil
	}
	m, found, err := d.find(key)
	if err != nil {
		return Document{}, err
	}
	text := d.text()
	switch {
	case v.IsZero():
		text = d.without(m)
	case found:
		q, err := quote(v)
		if err != nil {
			return Document{}, fmt.Errorf("%q: %w", key, err)
		}
		text = text[:m.value0] + q + text[m.value1:]
	default:
		q, err := quote(v)
		if err != nil {
			return Document{}, fmt.Errorf("%q: %w", key, err)
		}
		model, found, err := d.find(after)
		if err != nil {
			return Document{}, err
		}
		if !found {
			return Document{}, fmt.Errorf("%q is %w in it", after, store.ErrNotFound)
		}
		name, err := quote(secret.NewValue(key))
		if err != nil {
			return Document{}, err
		}
		text = text[:model.value1] + "," + text[model.lead:model.key0] + name + text[model.key1:model.value0] + q + text[model.value1:]
	}
	return Parse(text)
}

// without cuts a member out together with one comma. What With put in goes without a
// trace.
func (d Document) without(m member) string {
	text := d.text()
	i := slices.Index(d.members, m)
	switch {
	case i > 0: // its comma is the byte before its lead
		return text[:m.lead-1] + text[m.value1:]
	case len(d.members) > 1:
		return text[:m.key0] + text[d.members[1].key0:]
	default:
		return text[:m.key0] + text[m.value1:]
	}
}

func (d Document) find(key string) (m member, found bool, err error) {
	for _, candidate := range d.members {
		if candidate.key != key {
			continue
		}
		if found {
			return member{}, false, fmt.Errorf("%q stands in it twice, and readers disagree which one counts: %w", key, store.ErrAmbiguous)
		}
		m, found = candidate, true
	}
	return m, found, nil
}

// quote writes v as a JSON string with no more escapes than JSON asks for.
func quote(v secret.Value) (string, error) {
	s := v.Reveal()
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("the value is not UTF-8, which JSON cannot hold: %w", store.ErrAmbiguous)
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return "", fmt.Errorf("the value cannot be written as JSON: %w", store.ErrAmbiguous)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// unquote reads a valid JSON string; ok is false where an escape names half a
// character, which Go would replace silently.
func unquote(raw string) (s string, ok bool) {
	if json.Unmarshal([]byte(raw), &s) != nil {
		return "", false
	}
	// Only a replaced escape adds replacement characters to those that stand there.
	stand := strings.Count(raw, "\uFFFD") + strings.Count(strings.ToLower(raw), `\ufffd`)
	return s, strings.Count(s, "\uFFFD") <= stand
}
