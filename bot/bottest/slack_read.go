package bottest

import (
	"encoding/base64"
	"slices"
	"strings"
)

func (s *Slack) authTest(args) (map[string]any, *apiError) {
	return map[string]any{
		"url": "https://acme.slack.com/", "team": "Acme", "user": "rekey",
		"team_id": s.teamID, "user_id": s.botUser, "bot_id": s.botID,
	}, nil
}

// readable finds the channel and checks the scope reading it takes, which depends on its kind: channels:… for public
// channels, groups:… for private ones. Call it with state held.
func (s *Slack) readable(a args, right string) (*Channel, *apiError) {
	c := s.find(a.str("channel"), false)
	if c == nil || c.hidden && !c.member {
		if refusal := needs("channels:"+right, s.cfg.Scopes); refusal != nil {
			return nil, refusal
		}
		return nil, refused("channel_not_found")
	}
	kind := "channels:"
	if c.hidden {
		kind = "groups:"
	}
	return c, needs(kind+right, s.cfg.Scopes)
}

// history lists a channel's top-level messages, newest first.
func (s *Slack) history(a args) (map[string]any, *apiError) {
	s.state.Lock()
	defer s.state.Unlock()
	c, refusal := s.readable(a, "history")
	if refusal != nil {
		return nil, refusal
	}
	if !c.member {
		return nil, refused("not_in_channel")
	}
	var found []*Message
	for _, m := range slices.Backward(c.messages) {
		if !m.Deleted && m.ThreadTS == "" && a.within(m.TS) {
			found = append(found, m)
		}
	}
	return s.page(c, a, found, 999)
}

// replies lists a thread, its parent first.
func (s *Slack) replies(a args) (map[string]any, *apiError) {
	s.state.Lock()
	defer s.state.Unlock()
	c, refusal := s.readable(a, "history")
	if refusal != nil {
		return nil, refusal
	}
	if !c.member {
		return nil, refused("not_in_channel")
	}
	parent := c.message(a.str("ts"))
	if parent == nil {
		return nil, refused("thread_not_found")
	}
	found := []*Message{parent}
	for _, m := range c.messages {
		if !m.Deleted && m.ThreadTS == parent.TS && a.within(m.TS) {
			found = append(found, m)
		}
	}
	return s.page(c, a, found, 1000)
}

// within applies oldest, latest and inclusive. Timestamps have one length, so they compare as text.
func (a args) within(ts string) bool {
	oldest, latest, inclusive := a.str("oldest"), a.str("latest"), a.flag("inclusive")
	if oldest != "" && oldest != "0" && (ts < oldest || ts == oldest && !inclusive) {
		return false
	}
	return latest == "" || ts < latest || ts == latest && inclusive
}

// page cuts one page out of found. A cursor names the last message of the page before it. Metadata is left out
// unless it was asked for with include_all_metadata.
func (s *Slack) page(c *Channel, a args, found []*Message, most int) (map[string]any, *apiError) {
	limit := a.number("limit", 100)
	if limit < 1 || limit > most {
		return nil, violation("invalid_limit")
	}
	if cursor := a.str("cursor"); cursor != "" {
		raw, err := base64.StdEncoding.DecodeString(cursor)
		ts, ok := strings.CutPrefix(string(raw), "next_ts:")
		if err != nil || !ok {
			return nil, violation("invalid_cursor")
		}
		at := slices.IndexFunc(found, func(m *Message) bool { return m.TS == ts })
		if at < 0 {
			return nil, violation("invalid_cursor")
		}
		found = found[at+1:]
	}
	next := ""
	if len(found) > limit {
		found = found[:limit]
		next = base64.StdEncoding.EncodeToString([]byte("next_ts:" + found[limit-1].TS))
	}
	out := make([]map[string]any, len(found))
	for i, m := range found {
		out[i] = m.wire(s, a.flag("include_all_metadata"))
		if n := c.replyCount(m.TS); n > 0 {
			out[i]["thread_ts"], out[i]["reply_count"] = m.TS, n
		}
	}
	return map[string]any{
		"messages": out, "has_more": next != "", "response_metadata": map[string]any{"next_cursor": next},
	}, nil
}

func (s *Slack) channelInfo(a args) (map[string]any, *apiError) {
	s.state.Lock()
	defer s.state.Unlock()
	c, refusal := s.readable(a, "read")
	if refusal != nil {
		return nil, refusal
	}
	return map[string]any{"channel": map[string]any{
		"id": c.ID, "name": c.Name, "is_channel": !c.hidden, "is_private": c.hidden,
		"is_archived": c.archived, "is_member": c.member,
	}}, nil
}

func (s *Slack) userInfo(a args) (map[string]any, *apiError) {
	s.state.Lock()
	defer s.state.Unlock()
	u := s.user(a.str("user"))
	if u == nil {
		return nil, refused("user_not_found")
	}
	return map[string]any{"user": map[string]any{"id": u.ID, "name": u.Name, "team_id": s.teamID}}, nil
}

func (c *Channel) replyCount(ts string) int {
	n := 0
	for _, m := range c.messages {
		if m.ThreadTS == ts && !m.Deleted {
			n++
		}
	}
	return n
}
