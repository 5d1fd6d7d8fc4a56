package bottest

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed ui.tmpl
var uiFiles embed.FS

var uiTemplate = template.Must(template.ParseFS(uiFiles, "ui.tmpl"))

// page is what the template shows.
type page struct {
	Channel  string
	Channels []string
	Users    []*User
	User     string
	Live     bool // served, so it follows what happens and takes what a person types
	Messages []shownMessage
}

type shownMessage struct {
	Author, Initial, Time, Only string
	Bot, Edited                 bool
	Parts                       []shownPart
	Files                       []shownFile
	Replies                     []shownMessage
}

// shownFile carries its content with it, so that a page is whole by itself.
type shownFile struct {
	Name, Title, Alt string
	Picture          bool
	Size             int
	Address          template.URL
}

type shownPart struct {
	Type, Alt string
	Text      template.HTML
	Fields    []template.HTML
	Elements  []shownElement
	Rich      []template.HTML
	Rows      [][]template.HTML
	Button    *shownElement
}

type shownElement struct {
	Text   template.HTML
	Button bool
	Style  string
}

// HTML is a self-contained page that shows a channel the way Slack does: messages, threads, edits and what single
// people were shown.
func (s *Slack) HTML(channel *Channel) string {
	var b strings.Builder
	if err := uiTemplate.ExecuteTemplate(&b, "page", s.pageOf(channel, "", false)); err != nil {
		return "the page could not be written: " + template.HTMLEscapeString(err.Error())
	}
	return b.String()
}

func (s *Slack) routeUI(mux *http.ServeMux) {
	show := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			channel := s.uiChannel(r.FormValue("channel"))
			if channel == nil {
				http.NotFound(w, r)
				return
			}
			var b bytes.Buffer
			if err := uiTemplate.ExecuteTemplate(&b, name, s.pageOf(channel, r.FormValue("user"), true)); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			// The reader may have gone; there is nobody else to tell.
			_, _ = b.WriteTo(w)
		}
	}
	mux.HandleFunc("GET /ui/", show("page"))
	mux.HandleFunc("GET /ui/pane", show("pane"))
	// A page on another site must not be able to type commands here.
	mux.Handle("POST /ui/type", http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.uiType)))
}

func (s *Slack) uiType(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	channel := s.uiChannel(r.FormValue("channel"))
	s.state.Lock()
	user := s.user(r.FormValue("user"))
	s.state.Unlock()
	line := strings.TrimSpace(r.FormValue("line"))
	if channel == nil || user == nil {
		http.Error(w, "no such channel or user", http.StatusBadRequest)
		return
	}
	switch {
	case strings.HasPrefix(line, "/"):
		answer, err := user.Type(r.Context(), channel, line)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		if answer.EnvelopeID == "" {
			s.set(func() { s.whisper(channel, user.ID, Message{UserID: "USLACKBOT", Text: answer.Text}) })
		}
	case line != "":
		user.Say(channel, line)
	}
	http.Redirect(w, r, "/ui/?channel="+channel.Name+"&user="+user.ID, http.StatusSeeOther)
}

func (s *Slack) uiChannel(name string) *Channel {
	s.state.Lock()
	defer s.state.Unlock()
	if name == "" && len(s.channels) > 0 {
		return s.channels[0]
	}
	return s.find(name, true)
}

func (s *Slack) pageOf(channel *Channel, user string, live bool) page {
	s.state.Lock()
	defer s.state.Unlock()
	p := page{Channel: channel.Name, Live: live, Users: slices.Clone(s.users), User: user}
	for _, c := range s.channels {
		p.Channels = append(p.Channels, c.Name)
	}
	parents := map[string]int{}
	latest := map[string]Message{}
	for _, change := range s.log {
		latest[change.Message.TS] = change.Message
	}
	for _, change := range s.log {
		m := latest[change.Message.TS]
		if change.Kind != Posted || m.ChannelID != channel.ID || m.Deleted {
			continue
		}
		if i, ok := parents[m.ThreadTS]; ok {
			p.Messages[i].Replies = append(p.Messages[i].Replies, s.showMessage(m))
			continue
		}
		parents[m.TS] = len(p.Messages)
		p.Messages = append(p.Messages, s.showMessage(m))
	}
	return p
}

// showMessage prepares a message for the template. Call it with state held.
func (s *Slack) showMessage(m Message) shownMessage {
	author := s.name(m.UserID)
	out := shownMessage{
		Author: author, Initial: strings.ToUpper(author[:min(1, len(author))]), Bot: m.FromBot, Edited: m.Edits > 0,
	}
	if m.Only != "" {
		out.Only = s.name(m.Only)
	}
	var micro, second int64
	if _, err := fmt.Sscanf(m.TS, "%d.%d", &second, &micro); err == nil {
		out.Time = time.Unix(second, 0).Format("15:04:05")
	}
	for _, f := range m.Files {
		kind := "application/octet-stream" // saved, never shown: its words are a visitor's
		picture := f.Type == "image/png"
		if picture {
			kind = f.Type
		}
		out.Files = append(out.Files, shownFile{
			Name: f.Name, Title: f.Title, Alt: f.Alt, Picture: picture, Size: len(f.Content),
			Address: template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(f.Content)), //nolint:gosec // one of two kinds, and base64
		})
	}
	for _, p := range m.parts() {
		out.Parts = append(out.Parts, s.showPart(p))
	}
	return out
}

func (s *Slack) showPart(p part) shownPart {
	out := shownPart{Type: p.Type, Alt: p.Alt, Text: s.html(p.Text)}
	for _, f := range p.Fields {
		out.Fields = append(out.Fields, s.html(f))
	}
	for _, e := range p.Elements {
		if p.Type == "rich_text" {
			out.Rich = append(out.Rich, s.richHTML(e))
		} else {
			out.Elements = append(out.Elements, s.showElement(e))
		}
	}
	for _, row := range p.Rows {
		var cells []template.HTML
		for _, c := range row {
			cells = append(cells, s.richHTML(c))
		}
		out.Rows = append(out.Rows, cells)
	}
	if p.Button != nil {
		e := s.showElement(*p.Button)
		out.Button = &e
	}
	return out
}

func (s *Slack) showElement(e piece) shownElement {
	switch e.Type {
	case "image":
		return shownElement{Text: escape("[" + e.AltText + "]")}
	case "button", "static_select", "overflow":
		return shownElement{Text: s.html(e.words()), Button: true, Style: strings.Trim(string(e.Style), `"`)}
	}
	return shownElement{Text: s.html(e.words())}
}

// html writes a text object as HTML. Everything that came from outside passes through escape.
func (s *Slack) html(t textObject) template.HTML {
	if t.Type != "mrkdwn" {
		return escape(shown(t.Text))
	}
	var b strings.Builder
	for _, x := range marked(t.Text, s.name) {
		open, end := tags(x)
		b.WriteString(open + string(escape(x.text)) + end)
	}
	return template.HTML(b.String()) //nolint:gosec // every part of it was escaped above
}

func tags(x span) (open, end string) {
	switch x.look {
	case bold:
		return "<b>", "</b>"
	case italic:
		return "<i>", "</i>"
	case strike:
		return "<s>", "</s>"
	case code:
		return "<code>", "</code>"
	case preformatted:
		return "<pre>", "</pre>"
	case mention:
		return `<span class="mention">`, "</span>"
	case link:
		if isWebAddress(x.link) {
			return `<a href="` + template.HTMLEscapeString(x.link) + `">`, "</a>"
		}
	case normal:
	}
	return "", ""
}

func escape(text string) template.HTML {
	//nolint:gosec // this is where it is escaped
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(text), "\n", "<br>"))
}

// richHTML writes rich text: paragraphs, lists, preformatted text and their runs.
func (s *Slack) richHTML(p piece) template.HTML {
	var b strings.Builder
	open, end := "", ""
	switch p.Type {
	case "rich_text_list":
		for _, item := range p.Elements {
			b.WriteString("<li>" + string(s.richHTML(item)) + "</li>")
		}
		return template.HTML("<ul>" + b.String() + "</ul>") //nolint:gosec // made of escaped parts
	case "rich_text_preformatted":
		open, end = "<pre>", "</pre>"
	case "rich_text_quote", "rich_text_section":
		open, end = "<p>", "</p>"
	case "link":
		open, end = tags(span{look: link, link: p.URL})
	case "text":
		open, end = tags(span{look: richLook(p)})
	}
	if len(p.Elements) == 0 {
		p.rich(&b, s.name)
		return template.HTML(open) + escape(b.String()) + template.HTML(end) //nolint:gosec // constant tags
	}
	for _, e := range p.Elements {
		b.WriteString(string(s.richHTML(e)))
	}
	return template.HTML(open + b.String() + end) //nolint:gosec // made of escaped parts
}

// richLook is the look of a run of rich text: the first of its styles that has one here.
func richLook(p piece) look {
	for _, style := range []struct {
		name string
		look look
	}{{"code", code}, {"bold", bold}, {"italic", italic}, {"strike", strike}} {
		if strings.Contains(string(p.Style), `"`+style.name+`":true`) {
			return style.look
		}
	}
	return normal
}
