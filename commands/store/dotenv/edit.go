package dotenv

import (
	"bytes"
	"fmt"
	"slices"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// edit is one replacement of text[from:to].
type edit struct {
	from, to int
	with     string
}

// rewrite answers the file that holds want, or the very same bytes when it does
// already.
func rewrite(d document, ref store.Ref, want store.State) ([]byte, error) {
	edits, err := d.set(ref.Variable, want.Current)
	if err != nil {
		return nil, err
	}
	switch {
	case ref.Previous == "":
	case want.Previous.IsZero():
		edits = append(edits, d.remove(ref.Previous)...)
	case d.last(ref.Previous) != nil:
		more, err := d.set(ref.Previous, want.Previous)
		if err != nil {
			return nil, err
		}
		edits = append(edits, more...)
	default:
		more, err := d.insert(ref.Previous, ref.Variable, want.Previous)
		if err != nil {
			return nil, err
		}
		edits = append(edits, more...)
	}
	return apply(d.text, edits), nil
}

// set gives all assignments of name the value v. One that has it keeps its bytes.
func (d document) set(name string, v secret.Value) ([]edit, error) {
	var edits []edit
	for _, a := range d.assignments {
		if a.name != name || a.fault == "" && secret.NewValue(a.value).Equal(v) {
			continue
		}
		q, err := quote(v, a.style)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		edits = append(edits, edit{a.from, a.to, q})
	}
	return edits, nil
}

// remove takes out all assignments of name, unless every one of them is empty, which
// is the same as absent. Removing the last line of a file without a final newline
// leaves a file without a final newline.
func (d document) remove(name string) []edit {
	var edits []edit
	empty := true
	for _, a := range d.assignments {
		if a.name != name {
			continue
		}
		empty = empty && a.value == "" && a.fault == ""
		if n := len(edits); n > 0 && edits[n-1].to == a.start {
			edits[n-1].to = a.end
		} else {
			edits = append(edits, edit{a.start, a.end, ""})
		}
	}
	if empty {
		return nil
	}
	if l := &edits[len(edits)-1]; l.to == len(d.text) && d.last(name).ending(d.text) == "" {
		kept := d.text[:l.from]
		kept = bytes.TrimSuffix(kept, []byte("\n"))
		l.from = len(bytes.TrimSuffix(kept, []byte("\r")))
	}
	return edits
}

// insert adds a statement for name behind the last one of model, in its manner.
func (d document) insert(name, model string, v secret.Value) ([]edit, error) {
	m := d.last(model)
	q, err := quote(v, m.style)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	ending := m.ending(d.text)
	before, after := "", ending
	if ending == "" {
		before, after = firstEnding(d.text), ""
	}
	prefix := string(d.text[m.start:m.nameAt])
	equals := string(d.text[m.nameAt+len(m.name) : m.from])
	return []edit{{m.end, m.end, before + prefix + name + equals + q + after}}, nil
}

func (d document) last(name string) *assignment {
	for i := len(d.assignments) - 1; i >= 0; i-- {
		if d.assignments[i].name == name {
			return &d.assignments[i]
		}
	}
	return nil
}

// firstEnding answers the line ending a file uses, "\n" when it has none.
func firstEnding(text []byte) string {
	end := lineEnd(text, 0)
	if e := text[len(bytes.TrimRight(text[:end], "\r\n")):end]; len(e) > 0 {
		return string(e)
	}
	return "\n"
}

// apply makes edits, which do not overlap.
func apply(text []byte, edits []edit) []byte {
	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	out := make([]byte, 0, len(text)+256)
	at := 0
	for _, e := range edits {
		out = append(append(out, text[at:e.from]...), e.with...)
		at = e.to
	}
	return append(out, text[at:]...)
}
