package slack

import (
	"context"
	"slices"
	"strings"
	"time"
)

// pace waits for key's turn. Turns are given out in order, Pace apart; keeping to
// Slack's rate by ourselves is quicker than being told to wait.
func (c *Client) pace(ctx context.Context, key string) error {
	now := time.Now()
	c.mu.Lock()
	turn := c.free[key]
	if turn.Before(now) {
		turn = now
	}
	c.free[key] = turn.Add(c.cfg.Pace)
	for k, t := range c.free { // forget what is long past
		if now.Sub(t) > time.Minute {
			delete(c.free, k)
		}
	}
	c.mu.Unlock()

	t := time.NewTimer(turn.Sub(now))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return classify("waiting for our turn", ctx.Err())
	case <-t.C:
		return nil
	}
}

// sortStamps sorts Slack timestamps ("1700000000.000100") oldest first.
func sortStamps(ts []string) {
	slices.SortFunc(ts, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
}
