package bottest

import (
	"net/http"
	"time"
)

// A response_url is good for five answers within thirty minutes (docs.slack.dev, "Handling user interaction").
const (
	responseUses = 5
	responseLife = 30 * time.Minute
)

// responseURL is the address a command or click can be answered on later, without a token.
type responseURL struct {
	channel *Channel
	user    string
	source  *Message // the message that was clicked, or nil
	uses    int
	expires time.Time
}

// newResponseURL registers one. Call it with state held.
func (s *Slack) newResponseURL(c *Channel, user string, source *Message) string {
	id := random(12)
	s.responses[id] = &responseURL{channel: c, user: user, source: source, expires: s.cfg.Now().Add(responseLife)}
	return s.url + "/commands/" + id
}

func (s *Slack) serveResponseURL(w http.ResponseWriter, r *http.Request) {
	body, ok := s.receive(w, r)
	if !ok {
		return
	}
	s.faulty(w, r, "response_url", slackStatus, func(w http.ResponseWriter) {
		a, refusal := parseArgs(r, body)
		if refusal == nil && a.values == nil {
			refusal = violation("invalid_payload")
		}
		if refusal == nil {
			refusal = s.respond(r.PathValue("id"), a)
		}
		if refusal == nil {
			_, _ = w.Write([]byte("ok"))
			return
		}
		if refusal.violation {
			s.problem("response_url: %s %v", refusal.code, refusal.fields["errors"])
		}
		writeJSON(w, http.StatusNotFound, map[string]any{"ok": false, "error": refusal.code})
	})
}

func (s *Slack) respond(id string, a args) *apiError {
	s.state.Lock()
	defer s.state.Unlock()
	hook := s.responses[id]
	switch {
	case hook == nil:
		return violation("invalid_url")
	case !s.cfg.Now().Before(hook.expires):
		return refused("expired_url")
	case hook.uses == responseUses:
		return violation("used_url")
	}
	hook.uses++
	if a.flag("delete_original") && hook.source != nil {
		hook.source.Deleted = true
		s.note(Deleted, *hook.source)
		return nil
	}
	c := readContent(a)
	if refusal := c.check(); refusal != nil {
		return refusal
	}
	m := Message{UserID: s.botUser, FromBot: true, Text: c.text, Blocks: c.blocks, ThreadTS: a.str("thread_ts")}
	switch {
	case a.flag("replace_original") && hook.source != nil:
		hook.source.Text, hook.source.Blocks = c.text, c.blocks
		hook.source.Edits++
		s.note(Edited, *hook.source)
	case a.str("response_type") == "in_channel":
		s.post(hook.channel, m)
	default:
		s.whisper(hook.channel, hook.user, m)
	}
	return nil
}
