package bottest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// User is a person in the workspace.
type User struct {
	ID   string
	Name string

	slack *Slack
}

// User returns the person with this id, adding them to the workspace.
func (s *Slack) User(id, name string) *User {
	s.state.Lock()
	defer s.state.Unlock()
	if u := s.user(id); u != nil {
		return u
	}
	u := &User{ID: id, Name: name, slack: s}
	s.users = append(s.users, u)
	return u
}

// user looks a person up. Call it with state held.
func (s *Slack) user(id string) *User {
	for _, u := range s.users {
		if u.ID == id {
			return u
		}
	}
	return nil
}

// The errors Slack shows by itself, in [Answer.Err].
const (
	TimedOut      = "operation_timeout"        // not acknowledged in time
	NotDelivered  = "dispatch_failed"          // no connection to send it on
	InvalidAnswer = "invalid_command_response" // acknowledged with a payload that is not a message
	NotACommand   = "not_a_command"            // the app has not registered it
	// NotInteractive is a click on a button of an app that takes no clicks.
	NotInteractive = "not_interactive"
)

// Answer is what a person sees after typing a command or clicking a button.
type Answer struct {
	EnvelopeID string
	// Text is what can be read: the answer's text and blocks as plain text, or Slack's own error sentence.
	Text string
	// Blocks are the answer's blocks as sent, or nil.
	Blocks json.RawMessage
	// InChannel says that everybody in the channel sees the answer, not only the person.
	InChannel bool
	// Err is Slack's own error, or "": TimedOut, NotDelivered, InvalidAnswer, NotACommand, NotInteractive.
	Err string
	// Took is how long the acknowledgement took.
	Took time.Duration
}

// Type types a line that starts with a slash into a channel and returns what the person sees. What goes wrong in Slack
// is in the Answer; the error is for what no person could have typed, and for the context's end.
func (u *User) Type(ctx context.Context, channel *Channel, line string) (Answer, error) {
	s := u.slack
	command, text, _ := strings.Cut(line, " ")
	if !strings.HasPrefix(line, "/") {
		return Answer{}, fmt.Errorf("%q is not a slash command", line)
	}
	if !slices.Contains(s.cfg.Commands, command) || !slices.Contains(s.cfg.Scopes, "commands") {
		return Answer{Err: NotACommand, Text: fmt.Sprintf("%s is not a valid command.", command)}, nil
	}
	s.state.Lock()
	trigger := s.id("") + "." + random(8)
	hook := s.newResponseURL(channel, u.ID, nil)
	s.state.Unlock()
	e := s.newEnvelope("slash_commands", map[string]any{
		"token": "legacy-verification-token", "team_id": s.teamID, "team_domain": "acme",
		"channel_id": channel.ID, "channel_name": channel.Name, "user_id": u.ID, "user_name": u.Name,
		"command": command, "text": strings.TrimSpace(text), "api_app_id": s.appID,
		"is_enterprise_install": "false", "response_url": hook, "trigger_id": trigger,
	}, true)
	ack, failure, err := s.ask(ctx, e)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{EnvelopeID: e.ID, Took: ack.After, Err: failure}
	if failure == "" && ack.Payload != nil {
		if problem := s.read(&answer, ack.Payload); problem != "" {
			s.problem("answer to %s: %s", command, problem)
			answer.Err = InvalidAnswer
		}
	}
	s.state.Lock()
	defer s.state.Unlock()
	m := Message{UserID: s.botUser, FromBot: true, Text: answer.Text, Blocks: answer.Blocks, slack: s}
	switch {
	case answer.Err != "":
		answer.Text = fmt.Sprintf("%s failed with the error %q", command, answer.Err)
		s.whisper(channel, u.ID, Message{UserID: "USLACKBOT", Text: answer.Text})
	case answer.Text == "" && answer.Blocks == nil: // acknowledged without a word
	case answer.InChannel:
		s.post(channel, m)
		answer.Text = m.plain(s)
	default:
		s.whisper(channel, u.ID, m)
		answer.Text = m.plain(s)
	}
	return answer, nil
}

// ask delivers an envelope and waits for its acknowledgement; failure is the error Slack would show.
func (s *Slack) ask(ctx context.Context, e *envelope) (ack Ack, failure string, err error) {
	if err := s.deliver(ctx, e); errors.Is(err, ErrNotConnected) {
		return Ack{}, NotDelivered, nil
	} else if err != nil {
		return Ack{}, "", err
	}
	ack, ok, err := s.await(ctx, e)
	if err != nil {
		return Ack{}, "", fmt.Errorf("waiting for acknowledgement: %w", err)
	}
	if !ok {
		return Ack{After: s.cfg.AckTimeout}, TimedOut, nil
	}
	return ack, "", nil
}

// read validates an acknowledgement's payload as a message and fills the answer in. An empty object is no message.
func (s *Slack) read(answer *Answer, payload json.RawMessage) (problem string) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(payload, &fields) != nil {
		return "payload is not an object"
	}
	a := args{values: fields}
	if len(fields) == 0 {
		return ""
	}
	switch kind := a.str("response_type"); kind {
	case "", "ephemeral":
	case "in_channel":
		answer.InChannel = true
	default:
		return fmt.Sprintf("unknown response_type %q", kind)
	}
	c := readContent(a)
	if refusal := c.check(); refusal != nil {
		return fmt.Sprintf("%s %v", refusal.code, refusal.fields["errors"])
	}
	answer.Text, answer.Blocks = c.text, c.blocks
	return ""
}

// Say posts an ordinary message as the person.
func (u *User) Say(channel *Channel, text string) Message {
	u.slack.state.Lock()
	defer u.slack.state.Unlock()
	return *u.slack.post(channel, Message{UserID: u.ID, Text: text})
}
