package bot

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"github.com/slack-go/slack"

	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/bot/socket"
	"rekey/commands"
)

// handle answers one envelope. It never returns an error: whatever happened, the
// person is better served by a sentence than by Slack's time-out.
func (b *Bot) handle(ctx context.Context, e socket.Envelope) (any, error) {
	switch e.Type {
	case socket.SlashCommands:
	case socket.Interactive:
		b.clicked(ctx, e)
		return nil, nil // answered elsewhere: an acknowledged click shows nothing
	default:
		return nil, nil // events: acknowledged, and nothing hangs on them
	}
	req, err := decode(e)
	if err != nil {
		return response(render.Answer(b.excuse(e, err), b.cfg.Now())), nil
	}
	answer, err := b.take(ctx, e.Arrived, req)
	if err != nil {
		answer = b.excuse(e, err)
	}
	return response(render.Answer(answer, b.cfg.Now())), nil
}

// slash is the part of a slash command's payload that is read.
type slash struct {
	Command string `json:"command"`
	Text    string `json:"text"`
	User    string `json:"user_id"`
	Name    string `json:"user_name"`
	Channel string `json:"channel_id"`
}

var errPayload = errors.New("the command's payload cannot be read")

func decode(e socket.Envelope) (commands.Request, error) {
	var p slash
	if err := json.Unmarshal(e.Payload, &p); err != nil || p.Command == "" || p.User == "" {
		return commands.Request{}, errPayload // the decoder's own error may quote the payload
	}
	req, err := commands.ParseSlash(p.Command, p.Text)
	if err != nil {
		return commands.Request{}, err
	}
	req.ID = e.ID
	req.At = e.Arrived
	req.Actor = commands.Actor{Via: "slack", ID: p.User, Name: p.Name, Channel: p.Channel}
	return req, nil
}

// errLate: the desk had not answered when the person had to be.
var errLate = errors.New("the desk did not answer in time")

// errPanic: the desk panicked.
var errPanic = errors.New("the desk panicked")

// take asks the desk, bounded twice: its context ends at TakeWithin, and at
// AnswerWithin it is waited for no longer. What it does after that is still
// recorded by it, and shown by /rotate status.
func (b *Bot) take(ctx context.Context, arrived time.Time, req commands.Request) (commands.Answer, error) {
	age := b.cfg.Now().Sub(arrived)
	ctx, cancel := context.WithTimeout(ctx, b.cfg.TakeWithin-age)
	defer cancel()
	type result struct {
		answer commands.Answer
		err    error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = errPanic
				if b.cfg.Panicked != nil {
					b.cfg.Panicked(p)
				}
			}
			done <- r
		}()
		r.answer, r.err = b.cfg.Desk.Take(ctx, req)
	}()
	late := time.NewTimer(b.cfg.AnswerWithin - age)
	defer late.Stop()
	select {
	case r := <-done:
		return r.answer, r.err
	case <-late.C:
		return commands.Answer{}, errLate
	}
}

// excuse says what went wrong in a sentence a person can act on. What was not
// foreseen goes to the log under a reference the sentence names.
func (b *Bot) excuse(e socket.Envelope, err error) commands.Answer {
	a := commands.Answer{Outcome: commands.Unusable}
	var usage *commands.UsageError
	switch {
	case errors.As(err, &usage):
		a.Text = usage.Problem
		if usage.Try != "" {
			a.Text += "\nTry: " + usage.Try
		}
		return a
	case errors.Is(err, ledger.ErrBroken):
		a.Text = "Nothing was started: the security log does not hold, so nothing can be written into it. On the host, `rekey ledger verify` says where it was touched."
		b.cfg.Log.Error("command not started", "envelope", e.ID, "why", err.Error())
		return a
	case errors.Is(err, ledger.ErrNotStarted):
		a.Text = "Nothing was started: the database did not record the command in time. Try again, or use `rekey rotate` on the host."
		b.cfg.Log.Warn("command not started", "envelope", e.ID, "why", err.Error())
		return a
	case errors.Is(err, ledger.ErrUnknownOutcome), errors.Is(err, errLate):
		a.Text = "It is not known yet whether this was started: the database did not answer in time. " +
			"Ask with `/rotate status` before you try again; a second rotation of the same secret is refused while one runs."
		b.cfg.Log.Warn("outcome of a command unknown", "envelope", e.ID, "why", err.Error())
		return a
	}
	ref := rand.Text()[:8]
	a.Text = "Something went wrong inside rekey. `/rotate status` shows whether this was started; if it is urgent, use `rekey rotate` on the host. Reference for the log: " + ref
	b.cfg.Log.Error("command failed", "reference", ref, "envelope", e.ID, "why", err.Error())
	return a
}

// reply is a response to a slash command: only the person who typed it sees it.
type reply struct {
	Type   string        `json:"response_type"`
	Text   string        `json:"text"`
	Blocks []slack.Block `json:"blocks,omitempty"`
}

func response(m render.Message) reply {
	return reply{Type: "ephemeral", Text: m.Text, Blocks: m.Blocks}
}
