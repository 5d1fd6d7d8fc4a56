package bottest

import (
	"encoding/json"
	"strings"
)

// Plain renders the message for a terminal: its blocks when it has any, else its text.
func (m Message) Plain() string {
	if m.slack == nil {
		return m.Text
	}
	m.slack.state.Lock()
	defer m.slack.state.Unlock()
	return m.plain(m.slack)
}

// plain is Plain with state held.
func (m Message) plain(s *Slack) string {
	var b strings.Builder
	for i, part := range m.parts() {
		if i > 0 {
			b.WriteByte('\n')
		}
		part.plain(&b, s.name)
	}
	for _, f := range m.Files {
		b.WriteString("\n[" + f.Name + ": " + f.Title + "]")
		if f.Alt != "" {
			b.WriteString(" " + f.Alt)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// name shows the id of a person or channel by its name. Call it with state held.
func (s *Slack) name(id string) string {
	if u := s.user(id); u != nil {
		return u.Name
	}
	if c := s.find(id, false); c != nil {
		return c.Name
	}
	if id == s.botUser {
		return "rekey"
	}
	return id
}

// part is one block as far as showing it goes; both the terminal and the page are written from it.
type part struct {
	Type     string
	Text     textObject
	Plain    string // the text of blocks whose text is a bare string
	Fields   []textObject
	Elements []piece
	Rows     [][]piece
	Image    string
	Alt      string
	Button   *piece
}

type textObject struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// piece is an element, of any kind: a text, a button, a run of rich text.
type piece struct {
	Type     string          `json:"type"`
	Text     json.RawMessage `json:"text"`
	AltText  string          `json:"alt_text"`
	URL      string          `json:"url"`
	UserID   string          `json:"user_id"`
	Name     string          `json:"name"`
	ActionID string          `json:"action_id"`
	Style    json.RawMessage `json:"style"` // a word on buttons and lists, an object on rich text
	Elements []piece         `json:"elements"`
}

// words is the element's text, whether a string or a text object holds it.
func (p piece) words() textObject {
	var t textObject
	if json.Unmarshal(p.Text, &t) == nil && t.Text != "" {
		return t
	}
	var bare string
	_ = json.Unmarshal(p.Text, &bare) // not a string either: an element without text
	return textObject{Type: p.Type, Text: bare}
}

// parts reads the blocks for showing. They were validated when they came in, so what does not parse is not shown.
func (m Message) parts() []part {
	var blocks []struct {
		Type      string          `json:"type"`
		Text      json.RawMessage `json:"text"`
		Fields    []textObject    `json:"fields"`
		Elements  []piece         `json:"elements"`
		Rows      [][]piece       `json:"rows"`
		Accessory *piece          `json:"accessory"`
		ImageURL  string          `json:"image_url"`
		AltText   string          `json:"alt_text"`
	}
	if json.Unmarshal(m.Blocks, &blocks) != nil || len(blocks) == 0 {
		return []part{{Type: "section", Text: textObject{Type: "mrkdwn", Text: m.Text}}}
	}
	out := make([]part, len(blocks))
	for i, b := range blocks {
		out[i] = part{
			Type: b.Type, Text: piece{Text: b.Text}.words(), Fields: b.Fields, Elements: b.Elements, Rows: b.Rows,
			Image: b.ImageURL, Alt: b.AltText, Button: b.Accessory,
		}
	}
	return out
}

func (p part) plain(b *strings.Builder, names func(string) string) {
	switch p.Type {
	case "divider":
		b.WriteString("────────")
	case "image":
		b.WriteString("[" + p.Alt + "]")
	case "rich_text":
		for _, e := range p.Elements {
			e.rich(b, names)
		}
	case "table":
		for i, row := range p.Rows {
			if i > 0 {
				b.WriteByte('\n')
			}
			for j, c := range row {
				if j > 0 {
					b.WriteString(" | ")
				}
				c.rich(b, names)
			}
		}
	case "context", "actions":
		for i, e := range p.Elements {
			if i > 0 {
				b.WriteString("  ")
			}
			e.plain(b, names)
		}
	default:
		b.WriteString(p.Text.plain(names))
		for i, f := range p.Fields {
			if i > 0 || p.Text.Text != "" {
				b.WriteByte('\n')
			}
			b.WriteString(strings.ReplaceAll(f.plain(names), "\n", " "))
		}
		if p.Button != nil {
			b.WriteString("  ")
			p.Button.plain(b, names)
		}
	}
}

func (p piece) plain(b *strings.Builder, names func(string) string) {
	switch words := p.words().plain(names); p.Type {
	case "image":
		b.WriteString("[" + p.AltText + "]")
	case "button", "static_select", "overflow":
		b.WriteString("[ " + words + " ]")
	default:
		b.WriteString(words)
	}
}

// rich writes rich text: paragraphs, lists and their runs.
func (p piece) rich(b *strings.Builder, names func(string) string) {
	switch p.Type {
	case "rich_text_list":
		for _, item := range p.Elements {
			b.WriteString("• ")
			item.rich(b, names)
			b.WriteByte('\n')
		}
	case "user":
		b.WriteString("@" + names(p.UserID))
	case "emoji":
		b.WriteString(shown(":" + p.Name + ":"))
	case "link":
		words := p.words().Text
		if words == "" {
			words = p.URL
		}
		b.WriteString(words)
	default:
		b.WriteString(p.words().Text)
		for _, e := range p.Elements {
			e.rich(b, names)
		}
	}
}

func (t textObject) plain(names func(string) string) string {
	if t.Type != "mrkdwn" {
		return shown(t.Text)
	}
	var b strings.Builder
	for _, x := range marked(t.Text, names) {
		b.WriteString(x.text)
		if x.look == link && x.link != x.text {
			b.WriteString(" (" + x.link + ")")
		}
	}
	return b.String()
}
