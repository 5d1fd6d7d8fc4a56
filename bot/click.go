package bot

import (
	"context"
	"encoding/json"
	"time"

	"github.com/slack-go/slack"

	"rekey/bot/render"
	"rekey/bot/socket"
	"rekey/commands"
)

// click is the part of an interaction's payload that is read.
type click struct {
	Type string `json:"type"`
	User struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"user"`
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
	Container struct {
		Ephemeral bool `json:"is_ephemeral"`
	} `json:"container"`
	Actions []struct {
		ID    string `json:"action_id"`
		Value string `json:"value"`
		At    string `json:"action_ts"`
	} `json:"actions"`
	ResponseURL string `json:"response_url"`
}

// clicked carries out what a button stands for: a request like any other, decided
// about for the person who clicked, and recorded before it is answered. A click that
// Slack delivers twice is one request.
func (b *Bot) clicked(ctx context.Context, e socket.Envelope) {
	var c click
	if err := json.Unmarshal(e.Payload, &c); err != nil || c.Type != "block_actions" || len(c.Actions) == 0 || c.User.ID == "" {
		return
	}
	action := c.Actions[0]
	var answer commands.Answer
	switch action.ID {
	case render.ActionCancel:
		answer = commands.Answer{Outcome: commands.Told, Text: "Nothing was started."}
	case render.ActionConfirm, render.ActionRollback, render.ActionKill, render.ActionHold:
		req, err := render.DecodeButton(action.Value)
		if err != nil {
			answer = commands.Answer{Outcome: commands.Unusable, Text: "This button is from another version of rekey; type the command again."}
			break
		}
		req.ID, req.At = "click-"+c.User.ID+"-"+action.At, e.Arrived
		req.Actor = commands.Actor{Via: "slack", ID: c.User.ID, Name: c.User.Name, Channel: c.Channel.ID}
		if answer, err = b.take(ctx, e.Arrived, req); err != nil {
			answer = b.excuse(e, err)
		}
	default:
		return
	}
	b.respond(ctx, e, c, answer)
}

// respond answers a click: in place of the question, or beside the board for the
// person who clicked alone. The board shows what comes of it anyway, so a response
// that is lost is only logged.
func (b *Bot) respond(ctx context.Context, e socket.Envelope, c click, answer commands.Answer) {
	if c.ResponseURL == "" {
		return
	}
	m := render.Answer(answer, b.cfg.Now())
	ctx, cancel := context.WithTimeout(ctx, max(b.cfg.AnswerWithin-b.cfg.Now().Sub(e.Arrived), 200*time.Millisecond))
	defer cancel()
	err := slack.PostWebhookCustomHTTPContext(ctx, c.ResponseURL, b.cfg.Reply, &slack.WebhookMessage{
		Text: m.Text, Blocks: &slack.Blocks{BlockSet: m.Blocks}, ResponseType: slack.ResponseTypeEphemeral,
		ReplaceOriginal: c.Container.Ephemeral,
	})
	if err != nil {
		b.cfg.Log.Warn("a click could not be answered", "envelope", e.ID, "why", err.Error())
	}
}
