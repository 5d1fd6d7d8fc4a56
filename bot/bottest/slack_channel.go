package bottest

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Message is one message as the workspace holds it now. It is a copy: an edit makes a new one.
type Message struct {
	TS        string
	ThreadTS  string // the parent's TS for a reply, else ""
	ChannelID string
	UserID    string
	FromBot   bool
	Text      string
	Blocks    json.RawMessage // nil when the message has none
	Metadata  json.RawMessage // {"event_type": …, "event_payload": …}, or nil
	Files     []File
	Only      string // an ephemeral message's only reader, else ""
	Edits     int
	Deleted   bool

	attachments json.RawMessage
	slack       *Slack
}

// Change is one thing that happened to a message.
type Change struct {
	Kind    ChangeKind
	Message Message
}

// ChangeKind says what happened.
type ChangeKind string

// The kinds of change.
const (
	Posted  ChangeKind = "posted"
	Edited  ChangeKind = "edited"
	Deleted ChangeKind = "deleted"
)

// Channel is one channel of the workspace.
type Channel struct {
	ID   string
	Name string

	slack    *Slack
	member   bool // the bot is in it
	archived bool
	hidden   bool // a private channel
	closed   bool // its messages can no longer be edited
	messages []*Message
}

// Channel returns the public channel with this name, creating it with the bot as a member.
func (s *Slack) Channel(name string) *Channel {
	s.state.Lock()
	defer s.state.Unlock()
	name = strings.TrimPrefix(name, "#")
	for _, c := range s.channels {
		if c.Name == name {
			return c
		}
	}
	c := &Channel{ID: s.id("C"), Name: name, slack: s, member: true}
	s.channels = append(s.channels, c)
	return c
}

// SetMember says whether the bot is a member; one that is not may neither post nor read.
func (c *Channel) SetMember(member bool) { c.set(func() { c.member = member }) }

// Archive archives the channel: nothing can be posted any more.
func (c *Channel) Archive() { c.set(func() { c.archived = true }) }

// MakePrivate turns it into a private channel: it needs groups:history, and is invisible to a bot that is not in it.
func (c *Channel) MakePrivate() { c.set(func() { c.hidden = true }) }

// CloseEditWindow makes every further edit fail, as a workspace's message edit settings do.
func (c *Channel) CloseEditWindow() { c.set(func() { c.closed = true }) }

func (c *Channel) set(change func()) {
	c.slack.state.Lock()
	defer c.slack.state.Unlock()
	change()
}

// Messages returns the messages of the channel pane, oldest first: no replies, nothing ephemeral, nothing deleted.
func (c *Channel) Messages() []Message {
	return c.collect(func(m *Message) bool { return m.ThreadTS == "" })
}

// Thread returns the replies to the message with timestamp ts, oldest first, without that message.
func (c *Channel) Thread(ts string) []Message {
	return c.collect(func(m *Message) bool { return m.ThreadTS == ts && ts != "" })
}

// All returns every message of the channel, oldest first, replies included.
func (c *Channel) All() []Message { return c.collect(func(*Message) bool { return true }) }

func (c *Channel) collect(want func(*Message) bool) []Message {
	c.slack.state.Lock()
	defer c.slack.state.Unlock()
	var found []Message
	for _, m := range c.messages {
		if !m.Deleted && want(m) {
			found = append(found, *m)
		}
	}
	return found
}

// WaitMessage waits until a message of the channel (a reply counts) satisfies want as it is now, and returns it.
// It ends with the context's error.
func (c *Channel) WaitMessage(ctx context.Context, want func(Message) bool) (Message, error) {
	for {
		c.slack.state.Lock()
		changed := c.slack.changed
		c.slack.state.Unlock()
		all := c.All()
		if i := slices.IndexFunc(all, want); i >= 0 {
			return all[i], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Message{}, fmt.Errorf("waiting for a message in #%s: %w", c.Name, ctx.Err())
		}
	}
}

// Watch yields what happens in the channel, from its first message on and as it happens, until the context ends.
// Ephemeral messages shown in the channel are included. Nothing is lost, however slow the reader.
func (c *Channel) Watch(ctx context.Context) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for seen := 0; ; {
			c.slack.state.Lock()
			fresh := slices.Clone(c.slack.log[seen:])
			changed := c.slack.changed
			c.slack.state.Unlock()
			seen += len(fresh)
			for _, change := range fresh {
				if change.Message.ChannelID == c.ID && !yield(change) {
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// note records a change and wakes everybody who waits. Call it with state held.
func (s *Slack) note(kind ChangeKind, m Message) {
	s.log = append(s.log, Change{Kind: kind, Message: m})
	close(s.changed)
	s.changed = make(chan struct{})
}

// post adds a message. Call it with state held.
func (s *Slack) post(c *Channel, m Message) *Message {
	m.TS, m.ChannelID, m.slack = s.ts(), c.ID, s
	c.messages = append(c.messages, &m)
	s.note(Posted, m)
	return &m
}

// whisper shows a message to one person only. Call it with state held.
func (s *Slack) whisper(c *Channel, reader string, m Message) Message {
	m.TS, m.ChannelID, m.Only, m.slack = s.ts(), c.ID, reader, s
	s.private = append(s.private, m)
	s.note(Posted, m)
	return m
}

// find looks a channel up by id or, where a method allows it, by name. Call it with state held.
func (s *Slack) find(ref string, byName bool) *Channel {
	for _, c := range s.channels {
		if c.ID == ref || byName && c.Name == strings.TrimPrefix(ref, "#") && ref != "" {
			return c
		}
	}
	return nil
}

func (c *Channel) message(ts string) *Message {
	for _, m := range c.messages {
		if m.TS == ts && !m.Deleted {
			return m
		}
	}
	return nil
}

// Whispers returns the ephemeral messages this person was shown, oldest first.
func (u *User) Whispers() []Message {
	u.slack.state.Lock()
	defer u.slack.state.Unlock()
	var found []Message
	for _, m := range u.slack.private {
		if m.Only == u.ID {
			found = append(found, m)
		}
	}
	return found
}
