package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"rekey/audit"
	"rekey/commands/inspect"
)

// Lines collects the lines behind a report, masked, as they are handed out. The zero
// value is not ready; see NewLines.
type Lines struct {
	scrub   func([]byte) ([]byte, int)
	sources []string // in the order they came
	text    map[string]*bytes.Buffer
	bytes   map[audit.Kind]int
	left    map[audit.Kind]int // left out for their size
	more    []audit.Kind       // more than is handed out
	lost    int
	masked  int
}

// NewLines makes a collection that masks with scrub.
func NewLines(scrub func([]byte) (clean []byte, found int)) *Lines {
	return &Lines{scrub: scrub, text: map[string]*bytes.Buffer{}, bytes: map[audit.Kind]int{}, left: map[audit.Kind]int{}}
}

// Add takes one line; it is an inspect.Request's Lines.
func (l *Lines) Add(in inspect.Line) {
	if in.Cut {
		l.more = append(l.more, in.Kind)
		return
	}
	if l.bytes[in.Kind]+len(in.Text) > MaxLineBytes {
		l.left[in.Kind]++
		return
	}
	l.bytes[in.Kind] += len(in.Text)
	clean, found := mask([]byte(in.Text), l.scrub)
	l.masked += found
	out := line{Place: in.Place, Kind: in.Kind, At: in.At.UTC(), Ours: in.Ours, Lost: in.Lost}
	if in.Addr.IsValid() {
		out.Addr = in.Addr.String()
	}
	if in.Lost {
		l.lost++
	}
	if utf8.Valid(clean) {
		out.Text = string(clean)
	} else {
		out.Bytes = clean
	}
	b := l.text[in.Source]
	if b == nil {
		b = &bytes.Buffer{}
		l.text[in.Source] = b
		l.sources = append(l.sources, in.Source)
	}
	if err := encoder(b).Encode(out); err != nil { // no year of five digits can be written
		l.lost++
	}
}

// encoder writes JSON that is not escaped for a web page.
func encoder(b *bytes.Buffer) *json.Encoder {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e
}

// cut says what is left out.
func (l *Lines) cut() []string {
	var out []string
	for _, k := range l.more {
		out = append(out, fmt.Sprintf("Of the lines of kind %s the first %d are here; there are more in the logs.", k, inspect.MaxLines))
	}
	for _, k := range []audit.Kind{audit.Used, audit.InvalidSignature, audit.Denied} {
		if n := l.left[k]; n > 0 {
			out = append(out, fmt.Sprintf("%d lines of kind %s are left out: those before them fill %d bytes.", n, k, MaxLineBytes))
		}
	}
	if l.lost > 0 {
		out = append(out, fmt.Sprintf("%d lines were counted but could not be read again.", l.lost))
	}
	return out
}

// fileName is where the lines of a source go. Two sources never share one: the number is
// that of their turn.
func fileName(n int, source string) string {
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
			return c
		}
		return '_'
	}, source)
	return fmt.Sprintf("%s%02d-%s.jsonl", linesFolder, n+1, name[:min(len(name), 80)])
}
