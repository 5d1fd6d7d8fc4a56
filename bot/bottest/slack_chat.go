package bottest

import (
	"encoding/json"
	"unicode/utf8"
)

// Limits of a message (docs.slack.dev: chat.postMessage, chat.update, "Truncating really long messages").
const (
	maxPostText       = 40_000 // longer text is cut off, with a warning
	maxUpdateText     = 4_000  // chat.update refuses longer text
	maxAttachments    = 100
	maxMetadataBytes  = 8 << 10 // the size is not published; this is the strict reading
	maxMarkdownLength = 12_000  // all markdown blocks together
)

// content is what chat.postMessage, chat.update, chat.postEphemeral and a command's answer have in common.
type content struct {
	text        string
	hasText     bool
	blocks      json.RawMessage
	attachments json.RawMessage
	metadata    json.RawMessage
}

func readContent(a args) content {
	return content{
		text: a.str("text"), hasText: a.has("text"),
		blocks: a.raw("blocks"), attachments: a.raw("attachments"), metadata: a.raw("metadata"),
	}
}

// check applies the rules every message obeys.
func (c content) check() *apiError {
	if empty(c.blocks) && empty(c.attachments) && c.text == "" {
		return violation("no_text")
	}
	if c.blocks != nil {
		if refusal := checkBlocks(c.blocks); refusal != nil {
			return refusal
		}
	}
	if c.attachments != nil {
		var list []map[string]any
		if json.Unmarshal(c.attachments, &list) != nil {
			return violation("invalid_attachments")
		}
		if len(list) > maxAttachments {
			return violation("too_many_attachments")
		}
	}
	return checkMetadata(c.metadata)
}

// checkMetadata applies docs.slack.dev, "Message metadata": event_type and event_payload, nothing else, and an empty
// object (which removes it on update).
func checkMetadata(raw json.RawMessage) *apiError {
	if raw == nil || string(raw) == "{}" {
		return nil
	}
	if len(raw) > maxMetadataBytes {
		return violation("metadata_too_large")
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return violation("invalid_metadata_format")
	}
	var kind string
	var payload map[string]any
	if json.Unmarshal(fields["event_type"], &kind) != nil || kind == "" ||
		json.Unmarshal(fields["event_payload"], &payload) != nil || payload == nil {
		return violation("invalid_metadata_schema")
	}
	for name := range fields {
		if name != "event_type" && name != "event_payload" && name != "entities" {
			return violation("invalid_metadata_schema")
		}
	}
	return nil
}

func empty(list json.RawMessage) bool {
	var items []json.RawMessage
	return list == nil || json.Unmarshal(list, &items) == nil && len(items) == 0
}

func (s *Slack) postMessage(a args) (map[string]any, *apiError) {
	c := readContent(a)
	s.state.Lock()
	defer s.state.Unlock()
	channel, refusal := s.writable(a.str("channel"), true)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := c.check(); refusal != nil {
		return nil, refusal
	}
	thread := a.str("thread_ts")
	if thread != "" {
		parent := channel.message(thread)
		switch {
		case parent == nil:
			return nil, refused("thread_not_found")
		case parent.ThreadTS != "":
			// "Avoid using a reply's ts value; use its parent instead."
			return nil, violation("cannot_reply_to_message")
		}
	}
	answer := map[string]any{"channel": channel.ID}
	if utf8.RuneCountInString(c.text) > maxPostText {
		c.text = string([]rune(c.text)[:maxPostText])
		s.problems = append(s.problems, "chat.postMessage: message_truncated")
		answer["warning"] = "message_truncated"
		answer["response_metadata"] = map[string]any{
			"warnings": []string{"message_truncated"},
			"messages": []string{
				"[WARN] Your message was truncated but still posted. The `text` field accepts up to 40,000 characters.",
			},
		}
	}
	m := s.post(channel, Message{
		ThreadTS: thread, UserID: s.botUser, FromBot: true, Text: c.text, Blocks: c.blocks, Metadata: c.metadata,
		attachments: c.attachments,
	})
	answer["ts"], answer["message"] = m.TS, m.wire(s, true)
	return answer, nil
}

func (s *Slack) postEphemeral(a args) (map[string]any, *apiError) {
	c := readContent(a)
	s.state.Lock()
	defer s.state.Unlock()
	channel, refusal := s.writable(a.str("channel"), true)
	if refusal != nil {
		return nil, refusal
	}
	if s.user(a.str("user")) == nil {
		return nil, refused("user_not_in_channel")
	}
	if refusal := c.check(); refusal != nil {
		return nil, refusal
	}
	m := s.whisper(channel, a.str("user"), Message{
		ThreadTS: a.str("thread_ts"), UserID: s.botUser, FromBot: true, Text: c.text, Blocks: c.blocks,
	})
	return map[string]any{"message_ts": m.TS}, nil
}

// updateMessage edits a message of the bot's own. Blocks, attachments and metadata that are not given stay as they
// were; an empty list or object removes them.
func (s *Slack) updateMessage(a args) (map[string]any, *apiError) {
	c := readContent(a)
	s.state.Lock()
	defer s.state.Unlock()
	channel, m, refusal := s.own(a, "cant_update_message")
	if refusal != nil {
		return nil, refusal
	}
	if channel.archived {
		return nil, refused("is_inactive")
	}
	if channel.closed {
		return nil, refused("edit_window_closed")
	}
	if refusal := c.check(); refusal != nil {
		return nil, refusal
	}
	if utf8.RuneCountInString(c.text) > maxUpdateText {
		return nil, violation("msg_too_long")
	}
	if c.hasText {
		m.Text = c.text
	}
	replace(&m.Blocks, c.blocks)
	replace(&m.attachments, c.attachments)
	replace(&m.Metadata, c.metadata)
	m.Edits++
	s.note(Edited, *m)
	return map[string]any{"channel": channel.ID, "ts": m.TS, "text": m.Text, "message": m.wire(s, true)}, nil
}

func replace(old *json.RawMessage, fresh json.RawMessage) {
	switch {
	case fresh == nil:
	case string(fresh) == "{}" || empty(fresh):
		*old = nil
	default:
		*old = fresh
	}
}

func (s *Slack) deleteMessage(a args) (map[string]any, *apiError) {
	s.state.Lock()
	defer s.state.Unlock()
	channel, m, refusal := s.own(a, "cant_delete_message")
	if refusal != nil {
		return nil, refusal
	}
	m.Deleted = true
	s.note(Deleted, *m)
	return map[string]any{"channel": channel.ID, "ts": m.TS}, nil
}

// writable finds the channel a bot may post to. Call it with state held.
func (s *Slack) writable(ref string, byName bool) (*Channel, *apiError) {
	c := s.find(ref, byName)
	switch {
	case c == nil, c.hidden && !c.member:
		return nil, refused("channel_not_found")
	case c.archived:
		return nil, refused("is_archived")
	case !c.member:
		return nil, refused("not_in_channel")
	}
	return c, nil
}

// own finds the message a bot may change: chat.update and chat.delete take the channel's id only, and the bot's own
// messages only. Call it with state held.
func (s *Slack) own(a args, denied string) (*Channel, *Message, *apiError) {
	c := s.find(a.str("channel"), false)
	if c == nil || c.hidden && !c.member {
		return nil, nil, refused("channel_not_found")
	}
	m := c.message(a.str("ts"))
	if m == nil {
		return nil, nil, refused("message_not_found")
	}
	if !m.FromBot {
		return nil, nil, violation(denied)
	}
	return c, m, nil
}

// wire is a message as the API shows it.
func (m *Message) wire(s *Slack, metadata bool) map[string]any {
	out := map[string]any{"type": "message", "user": m.UserID, "text": m.Text, "ts": m.TS, "team": s.teamID}
	if m.FromBot {
		out["bot_id"], out["app_id"] = s.botID, s.appID
	}
	if m.ThreadTS != "" {
		out["thread_ts"] = m.ThreadTS
	}
	if m.Blocks != nil {
		out["blocks"] = m.Blocks
	}
	if m.attachments != nil {
		out["attachments"] = m.attachments
	}
	if len(m.Files) > 0 {
		var files []map[string]any
		for _, f := range m.Files {
			files = append(files, f.wire())
		}
		out["files"] = files
	}
	if m.Edits > 0 {
		out["edited"] = map[string]any{"user": m.UserID, "ts": m.TS}
	}
	if metadata && m.Metadata != nil {
		out["metadata"] = m.Metadata
	}
	return out
}
