package slack

import (
	"context"
	"strings"
)

// Identity is who Slack says we are.
type Identity struct {
	Team   string // the workspace's name
	UserID string
	BotID  string
	URL    string // "https://example.slack.com/"
}

// Identify asks Slack who the bot token belongs to (auth.test): the check to make
// at the start. It also learns the workspace's address, which Link needs.
func (c *Client) Identify(ctx context.Context) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	r, err := c.cfg.API.AuthTestContext(ctx)
	if err != nil {
		return Identity{}, classify("asking who we are", err)
	}
	c.mu.Lock()
	c.url = r.URL
	c.mu.Unlock()
	return Identity{Team: r.Team, UserID: r.UserID, BotID: r.BotID, URL: r.URL}, nil
}

// learn asks for the workspace's address once Slack is known to answer. Not knowing
// it costs only a link.
func (c *Client) learn(ctx context.Context) {
	c.mu.Lock()
	known := c.url != ""
	c.mu.Unlock()
	if !known {
		_, _ = c.Identify(ctx)
	}
}

// Link is the address of a message for people, or of its channel while ts is "". It
// is "" before the first message was posted or Identify has succeeded.
func (c *Client) Link(channel, ts string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.url == "" || channel == "" {
		return ""
	}
	if ts == "" {
		return strings.TrimSuffix(c.url, "/") + "/archives/" + channel
	}
	return strings.TrimSuffix(c.url, "/") + "/archives/" + channel + "/p" + strings.ReplaceAll(ts, ".", "")
}
