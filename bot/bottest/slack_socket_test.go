package bottest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"rekey/bot/bottest"
)

// app runs slack-go's own Socket Mode client as an independent peer; handle answers each envelope that needs one.
func app(t *testing.T, s *bottest.Slack, handle func(c *socketmode.Client, e socketmode.Event)) {
	t.Helper()
	api := slack.New(s.BotToken(), slack.OptionAppLevelToken(s.AppToken()), slack.OptionAPIURL(s.APIURL()))
	client := socketmode.New(api)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := client.RunContext(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("socket mode client: %v", err)
		}
	}()
	handled := make(chan struct{})
	go func() {
		defer close(handled)
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-client.Events:
				if e.Request != nil && e.Request.EnvelopeID != "" {
					handle(client, e)
				}
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		<-handled
	})
	if err := s.WaitConnections(deadline(t), 1); err != nil {
		t.Fatalf("connecting: %v", err)
	}
}

func TestACommandIsDeliveredAndItsAnswerShownToThePersonAlone(t *testing.T) {
	t.Parallel()
	s := start(t, bottest.SlackConfig{})
	app(t, s, func(c *socketmode.Client, e socketmode.Event) {
		command, ok := e.Data.(slack.SlashCommand)
		if !ok {
			t.Errorf("unexpected event %s", e.Type)
			return
		}
		if err := c.Ack(*e.Request, map[string]any{"text": "On it: " + command.Command + " " + command.Text}); err != nil {
			t.Errorf("acknowledging: %v", err)
		}
	})
	alerts := s.Channel("devops-alerts")
	answer, err := s.User("U0ALICE", "alice").Type(deadline(t), alerts, "/rotate REVALIDATE_SECRET compromised")
	if err != nil {
		t.Fatal(err)
	}
	if answer.Err != "" || answer.Text != "On it: /rotate REVALIDATE_SECRET compromised" {
		t.Errorf("answer = %+v", answer)
	}
	if got := alerts.Messages(); len(got) != 0 {
		t.Errorf("an ephemeral answer reached the channel: %+v", got)
	}
	noErrors(t, s)
}

func start(t *testing.T, cfg bottest.SlackConfig) *bottest.Slack {
	t.Helper()
	s, err := bottest.StartSlack(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func noErrors(t *testing.T, s *bottest.Slack) {
	t.Helper()
	if got := s.Errors(); len(got) > 0 {
		t.Errorf("protocol errors:\n%s", strings.Join(got, "\n"))
	}
}
