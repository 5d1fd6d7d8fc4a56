package bottest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"rekey/bot/bottest"
)

// client is slack-go's Web API client on a transport of its own, so that no idle connection outlives the test.
func client(t *testing.T, s *bottest.Slack) *slack.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return slack.New(s.BotToken(), slack.OptionAPIURL(s.APIURL()), slack.OptionHTTPClient(&http.Client{Transport: transport}))
}

func TestAMessageIsPostedEditedThreadedAndReadBack(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	api, ctx := client(t, s), deadline(t)
	alerts := s.Channel("devops-alerts")
	blocks := slack.MsgOptionBlocks(slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", "*Rotating* `REVALIDATE_SECRET`", false, false), nil, nil))
	metadata := slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "rekey_run", EventPayload: map[string]any{"run": "r1"}})

	id, ts, err := api.PostMessageContext(ctx, "#devops-alerts", slack.MsgOptionText("Rotating", false), blocks, metadata)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := api.PostMessageContext(ctx, id, slack.MsgOptionText("step 1 of 5", false), slack.MsgOptionTS(ts)); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := api.UpdateMessageContext(ctx, id, ts, slack.MsgOptionText("Done", false)); err != nil {
		t.Fatal(err)
	}

	m := alerts.ExpectMessage(t, "Rotating REVALIDATE_SECRET")
	if m.Text != "Done" || m.Edits != 1 || m.Metadata == nil {
		t.Errorf("an update without blocks and metadata must keep them: %+v", m)
	}
	if diff := cmp.Diff("rekey: Rotating REVALIDATE_SECRET (edited)\n  rekey: step 1 of 5\n", alerts.Transcript()); diff != "" {
		t.Errorf("transcript (-want +got):\n%s", diff)
	}

	history, err := api.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{ChannelID: id, IncludeAllMetadata: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(history.Messages) != 1 || history.Messages[0].ReplyCount != 1 || history.Messages[0].ThreadTimestamp != ts || history.Messages[0].Metadata.EventPayload["run"] != "r1" {
		t.Errorf("history = %+v", history.Messages)
	}
	without, err := api.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{ChannelID: id})
	if err != nil {
		t.Fatal(err)
	}
	if without.Messages[0].Metadata.EventType != "" {
		t.Error("metadata shown to a caller who did not ask for it")
	}
	replies, _, _, err := api.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{ChannelID: id, Timestamp: ts})
	if err != nil {
		t.Fatal(err)
	}
	if len(replies) != 2 || replies[0].Timestamp != ts || replies[1].Text != "step 1 of 5" {
		t.Errorf("replies = %+v", replies)
	}

	if _, err := api.PostEphemeralContext(ctx, id, s.User("U0BOB", "bob").ID, slack.MsgOptionText("psst", false)); err != nil {
		t.Fatal(err)
	}
	if w := s.User("U0BOB", "bob").Whispers(); len(w) != 1 || w[0].Text != "psst" {
		t.Errorf("whispers = %+v", w)
	}
	if _, _, err := api.DeleteMessageContext(ctx, id, ts); err != nil {
		t.Fatal(err)
	}
	if got := alerts.Messages(); len(got) != 0 {
		t.Errorf("still there after deletion: %+v", got)
	}
	noErrors(t, s)
}

func TestHistoryIsReadPageByPage(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	api, ctx, alice := client(t, s), deadline(t), s.User("U0ALICE", "alice")
	for i := range 5 {
		alice.Say(s.Channel("devops-alerts"), fmt.Sprint(i))
	}
	var read []string
	params := slack.GetConversationHistoryParameters{ChannelID: s.Channel("devops-alerts").ID, Limit: 2}
	for pages := 1; ; pages++ {
		h, err := api.GetConversationHistoryContext(ctx, &params)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range h.Messages {
			read = append(read, m.Text)
		}
		if params.Cursor = h.ResponseMetaData.NextCursor; params.Cursor == "" {
			if h.HasMore || pages != 3 {
				t.Errorf("page %d: has_more %v", pages, h.HasMore)
			}
			break
		}
	}
	if diff := cmp.Diff([]string{"4", "3", "2", "1", "0"}, read); diff != "" {
		t.Errorf("newest first, each once (-want +got):\n%s", diff)
	}
}

func TestPostingIsRateLimitedPerChannel(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	s := start(t, bottest.SlackConfig{
		Channels: []string{"a", "b"},
		Limits:   map[string]bottest.Limit{"chat.postMessage": {Burst: 2, Every: 3 * time.Second}},
		Now:      func() time.Time { return now },
	})
	api, ctx := client(t, s), deadline(t)
	say := func(channel string) error {
		_, _, err := api.PostMessageContext(ctx, channel, slack.MsgOptionText("x", false))
		return err
	}
	for range 2 {
		if err := say("a"); err != nil {
			t.Fatalf("within the burst: %v", err)
		}
	}
	var limited *slack.RateLimitedError
	if err := say("a"); !errors.As(err, &limited) || limited.RetryAfter != 3*time.Second {
		t.Errorf("past the burst: %v, want rate limited for 3s", err)
	}
	if err := say("b"); err != nil {
		t.Errorf("another channel: %v", err)
	}
	now = now.Add(3 * time.Second)
	if err := say("a"); err != nil {
		t.Errorf("after Retry-After: %v", err)
	}
	noErrors(t, s)
}

func TestSlackMisbehavesOnRequest(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{Limits: map[string]bottest.Limit{"chat.postMessage": {}}})
	api, ctx, alerts := client(t, s), deadline(t), s.Channel("devops-alerts")
	say := func(ctx context.Context) error {
		_, _, err := api.PostMessageContext(ctx, alerts.ID, slack.MsgOptionText("x", false))
		return err
	}
	count := func(want int) {
		t.Helper()
		if got := len(alerts.Messages()); got != want {
			t.Fatalf("%d messages, want %d", got, want)
		}
	}

	s.Fail(http.StatusServiceUnavailable, 1)
	var status slack.StatusCodeError
	if err := say(ctx); !errors.As(err, &status) || status.Code != http.StatusServiceUnavailable {
		t.Errorf("Fail: %v", err)
	}
	count(0)

	s.On("chat.postMessage").RateLimit(1, 1500*time.Millisecond)
	if _, err := api.AuthTestContext(ctx); err != nil {
		t.Errorf("a fault on one method hit another: %v", err)
	}
	var limited *slack.RateLimitedError
	if err := say(ctx); !errors.As(err, &limited) || limited.RetryAfter != 2*time.Second {
		t.Errorf("RateLimit: %v, want 2s (rounded up)", err)
	}
	count(0)

	s.Garbage(1)
	if err := say(ctx); err == nil {
		t.Error("Garbage: no error")
	}
	count(0)

	s.LoseResponse(1)
	if err := say(ctx); err == nil {
		t.Error("LoseResponse: the client saw an answer")
	}
	count(1) // the work was done all the same

	s.Down(true)
	if err := say(ctx); err == nil {
		t.Error("Down: no error")
	}
	s.Down(false)
	count(1)

	s.Slow(time.Hour)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := say(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Slow: %v", err)
	}
	s.Heal()
	if err := say(ctx); err != nil {
		t.Errorf("healed: %v", err)
	}
	count(2)
	noErrors(t, s)
}

func TestEverythingReceivedIsKept(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	if _, _, err := client(t, s).PostMessageContext(deadline(t), "devops-alerts", slack.MsgOptionText("canary-4711", false)); err != nil {
		t.Fatal(err)
	}
	all := s.Traffic()
	if len(all) != 1 || !strings.Contains(string(all[0]), "canary-4711") || !strings.HasPrefix(string(all[0]), "POST /api/chat.postMessage") {
		t.Errorf("traffic = %q", all)
	}
}

func TestWatchShowsEveryChangeInOrder(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	api, ctx, alerts := client(t, s), deadline(t), s.Channel("devops-alerts")
	var posting sync.WaitGroup
	defer posting.Wait()
	posting.Go(func() {
		_, ts, err := api.PostMessageContext(ctx, alerts.ID, slack.MsgOptionText("one", false))
		if err != nil {
			t.Error(err)
			return
		}
		if _, _, _, err := api.UpdateMessageContext(ctx, alerts.ID, ts, slack.MsgOptionText("two", false)); err != nil {
			t.Error(err)
		}
		if _, _, err := api.DeleteMessageContext(ctx, alerts.ID, ts); err != nil {
			t.Error(err)
		}
	})
	var seen []string
	for change := range alerts.Watch(ctx) {
		seen = append(seen, string(change.Kind)+" "+change.Message.Plain())
		if change.Kind == bottest.Deleted {
			break
		}
	}
	if diff := cmp.Diff([]string{"posted one", "edited two", "deleted two"}, seen); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}
