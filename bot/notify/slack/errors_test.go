package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	api "github.com/slack-go/slack"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	secretive := errors.New("Post \"https://user:hunter2@slack\": broken")
	for name, test := range map[string]struct {
		err          error
		word         string
		wait         time.Duration
		mend, unsure bool
	}{
		"rate limit":          {err: &api.RateLimitedError{RetryAfter: 9 * time.Second}, word: "rate limited", wait: 9 * time.Second},
		"rate limit of zero":  {err: &api.RateLimitedError{}, word: "rate limited", wait: time.Second},
		"server error":        {err: api.StatusCodeError{Code: 502}, word: "HTTP 502", unsure: true},
		"429 without a wait":  {err: api.StatusCodeError{Code: 429}, word: "HTTP 429"},
		"refused by a proxy":  {err: api.StatusCodeError{Code: 403}, word: "HTTP 403", mend: true},
		"no such channel":     {err: api.SlackErrorResponse{Err: "channel_not_found"}, word: "channel_not_found", mend: true},
		"Slack's own trouble": {err: api.SlackErrorResponse{Err: "internal_error"}, word: "internal_error", unsure: true},
		"not now":             {err: api.SlackErrorResponse{Err: "service_unavailable"}, word: "service_unavailable"},
		"a strange code":      {err: api.SlackErrorResponse{Err: "Oh no: <b>hunter2</b>"}, word: "refused", mend: true},
		"no code":             {err: api.SlackErrorResponse{}, word: "refused", mend: true},
		"time-out":            {err: fmt.Errorf("post: %w", context.DeadlineExceeded), word: "timed out", unsure: true},
		"interrupted":         {err: fmt.Errorf("post: %w", context.Canceled), word: "interrupted", unsure: true},
		"connection refused":  {err: fmt.Errorf("post: %w", &net.OpError{Op: "dial", Err: secretive}), word: "unreachable", unsure: true},
		"cut off":             {err: fmt.Errorf("post: %w", io.ErrUnexpectedEOF), word: "garbled answer", unsure: true},
		"anything else":       {err: secretive, word: "garbled answer", unsure: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := classify("posting", test.err)
			if e.Word != test.word || e.Wait != test.wait || e.Mend != test.mend || e.Unsure != test.unsure {
				t.Errorf("got %+v", *e)
			}
			if want := "posting in Slack: " + test.word; e.Error() != want {
				t.Errorf("says %q, want %q", e.Error(), want)
			}
			if again := classify("editing", fmt.Errorf("wrapped: %w", e)); again != e {
				t.Errorf("classified again as %+v", *again)
			}
		})
	}
	if !errors.Is(classify("posting", context.Canceled), context.Canceled) {
		t.Error("an interrupted call does not say so")
	}
}

func TestTurnsAreApartAndInOrder(t *testing.T) {
	t.Parallel()
	c, err := New(Config{API: api.New(""), Pace: 40 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 4 {
		if err := c.pace(t.Context(), "C1"); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 120*time.Millisecond {
		t.Errorf("four turns took %s, want at least three pauses of 40 ms", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 { // the first turn of a channel may be had at once
		err = c.pace(ctx, "C2")
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("waiting after the end: %v", err)
	}
}

func TestLink(t *testing.T) {
	t.Parallel()
	c, err := New(Config{API: api.New("")})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Link("C1", "1700000000.000100"); got != "" {
		t.Errorf("before the workspace is known: %q", got)
	}
	c.url = "https://acme.slack.com/"
	if got, want := c.Link("C1", "1700000000.000100"), "https://acme.slack.com/archives/C1/p1700000000000100"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := c.Link("C1", ""), "https://acme.slack.com/archives/C1"; got != want {
		t.Errorf("link to the channel %q, want %q", got, want)
	}
	if got := c.Link("", ""); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

func TestStampsAreSortedOldestFirst(t *testing.T) {
	t.Parallel()
	ts := []string{"1700000001.000100", "999999999.000900", "1700000000.000200", "1700000000.000100"}
	sortStamps(ts)
	if ts[0] != "999999999.000900" || ts[1] != "1700000000.000100" || ts[3] != "1700000001.000100" {
		t.Errorf("got %q", ts)
	}
}
