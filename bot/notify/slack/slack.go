// Package slack delivers one rendered message to Slack, once per call. It retries
// nothing: that belongs to the job engine, which needs to know only whether a
// failure passes, and when to come back. So every error is a *Error.
//
// Every message carries a token in its metadata, so that a post whose answer was
// lost can be found again instead of being made twice.
package slack

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	api "github.com/slack-go/slack"

	"rekey/bot/render"
)

// eventType names our metadata (docs.slack.dev/messaging/message-metadata).
const eventType = "rekey_delivery"

// Config is what a Client needs.
type Config struct {
	// API holds the bot token (scopes chat:write, files:write and channels:history, and
	// groups:history for a private channel). Its HTTP client is where the outbound
	// guard sits; its own retries must be off.
	API *api.Client
	// Timeout bounds one call; 0 means 10 s.
	Timeout time.Duration
	// Pace is the least time between two posts to one channel, and between two
	// edits of one message; 0 means 1.1 s (Slack allows about one a second).
	Pace time.Duration
}

// Client posts, edits and finds messages. It is safe for concurrent use.
type Client struct {
	cfg Config

	mu   sync.Mutex
	free map[string]time.Time // channel, or channel and message: when the next call may be made
	url  string               // the workspace's address, once known
}

// New makes a Client.
func New(cfg Config) (*Client, error) {
	if cfg.API == nil {
		return nil, errors.New("notify/slack: Config.API is missing")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Pace <= 0 {
		cfg.Pace = 1100 * time.Millisecond
	}
	return &Client{cfg: cfg, free: make(map[string]time.Time)}, nil
}

// Post sends m to channel, as a reply in thread unless that is empty, and answers
// the message's timestamp.
func (c *Client) Post(ctx context.Context, channel, thread, token string, m render.Message) (string, error) {
	if err := c.pace(ctx, channel); err != nil {
		return "", err
	}
	opts := options(token, m)
	if thread != "" {
		opts = append(opts, api.MsgOptionTS(thread))
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	_, ts, err := c.cfg.API.PostMessageContext(ctx, channel, opts...)
	if err == nil && ts == "" {
		err = errGarbled // {"ok":false} without an error passes slack-go as success
	}
	if err != nil {
		return "", classify("posting", err)
	}
	c.learn(ctx)
	return ts, nil
}

// Edit replaces the message at ts by m.
func (c *Client) Edit(ctx context.Context, channel, ts, token string, m render.Message) error {
	if err := c.pace(ctx, channel+"/"+ts); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	_, got, _, err := c.cfg.API.UpdateMessageContext(ctx, channel, ts, options(token, m)...)
	if err == nil && got == "" {
		err = errGarbled
	}
	if err != nil {
		return classify("editing", err)
	}
	return nil
}

// Delete removes one of our messages. One that is gone already is no error.
func (c *Client) Delete(ctx context.Context, channel, ts string) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	_, _, err := c.cfg.API.DeleteMessageContext(ctx, channel, ts)
	if err == nil {
		return nil
	}
	if e := classify("deleting", err); e.Word != "message_not_found" {
		return e
	}
	return nil
}

// maxPages bounds a search; 25 pages of 200 messages are far more than a channel
// sees between an attempt and its repetition.
const maxPages = 25

// Find lists the timestamps of the messages since then that carry token, oldest
// first: in the channel, or in one thread of it.
func (c *Client) Find(ctx context.Context, channel, thread, token string, since time.Time) ([]string, error) {
	return c.search(ctx, channel, thread, since, func(m api.Message) bool {
		return m.Metadata.EventType == eventType && m.Metadata.EventPayload["token"] == token
	})
}

// search lists the timestamps of the messages since then that are wanted, oldest first.
func (c *Client) search(ctx context.Context, channel, thread string, since time.Time, wanted func(api.Message) bool) ([]string, error) {
	oldest := fmt.Sprintf("%d.000000", since.Unix())
	var found []string
	cursor := ""
	for range maxPages {
		ms, next, err := c.page(ctx, channel, thread, oldest, cursor)
		if err != nil {
			return nil, classify("searching", err)
		}
		for _, m := range ms {
			if wanted(m) {
				found = append(found, m.Timestamp)
			}
		}
		if next == "" {
			break
		}
		cursor = next
	}
	sortStamps(found)
	return found, nil
}

func (c *Client) page(ctx context.Context, channel, thread, oldest, cursor string) ([]api.Message, string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if thread != "" {
		ms, _, next, err := c.cfg.API.GetConversationRepliesContext(ctx, &api.GetConversationRepliesParameters{
			ChannelID: channel, Timestamp: thread, Oldest: oldest, Cursor: cursor, Limit: 200, IncludeAllMetadata: true,
		})
		return ms, next, err
	}
	r, err := c.cfg.API.GetConversationHistoryContext(ctx, &api.GetConversationHistoryParameters{
		ChannelID: channel, Oldest: oldest, Cursor: cursor, Limit: 200, IncludeAllMetadata: true,
	})
	if err != nil {
		return nil, "", err
	}
	if !r.Ok {
		return nil, "", errGarbled
	}
	return r.Messages, r.ResponseMetaData.NextCursor, nil
}

func options(token string, m render.Message) []api.MsgOption {
	return []api.MsgOption{
		api.MsgOptionText(m.Text, false), // escaped by render
		api.MsgOptionBlocks(m.Blocks...),
		api.MsgOptionMetadata(api.SlackMetadata{EventType: eventType, EventPayload: map[string]any{"token": token}}),
		api.MsgOptionParse(false),
		api.MsgOptionLinkNames(false),
		api.MsgOptionDisableLinkUnfurl(),
		api.MsgOptionDisableMediaUnfurl(),
	}
}
