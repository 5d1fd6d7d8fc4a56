package bottest

import (
	"context"
	"encoding/json"
	"fmt"
)

// Click presses the button with this action_id on a message and returns what Slack shows for it: nothing when the
// click was acknowledged in time. What the app does about it appears in the channel. An app without
// [SlackConfig].Interactive never hears of the click.
func (u *User) Click(ctx context.Context, m Message, actionID string) (Answer, error) {
	s := u.slack
	action, err := findAction(m.Blocks, actionID)
	if err != nil {
		return Answer{}, fmt.Errorf("clicking %q: %w", actionID, err)
	}
	if !s.cfg.Interactive {
		s.problem("a button was clicked, and the app has interactivity switched off")
		return Answer{Err: NotInteractive, Text: "This app is not configured to handle interactive responses."}, nil
	}
	s.state.Lock()
	channel := s.find(m.ChannelID, false)
	var source *Message
	if channel != nil {
		source = channel.message(m.TS)
	}
	if channel == nil || source == nil && m.Only == "" {
		s.state.Unlock()
		return Answer{}, fmt.Errorf("clicking %q: the message is gone", actionID)
	}
	action["action_ts"] = s.ts()
	hook := s.newResponseURL(channel, u.ID, source)
	trigger := s.id("") + "." + random(8)
	payload := map[string]any{
		"type": "block_actions", "api_app_id": s.appID, "token": "legacy-verification-token",
		"team": map[string]any{"id": s.teamID, "domain": "acme"},
		"user": map[string]any{
			"id": u.ID, "username": u.Name, "name": u.Name, "team_id": s.teamID,
		},
		"channel": map[string]any{"id": channel.ID, "name": channel.Name},
		"container": map[string]any{
			"type": "message", "message_ts": m.TS, "channel_id": channel.ID, "is_ephemeral": m.Only != "",
		},
		"message": m.wire(s, true), "actions": []any{action}, "response_url": hook, "trigger_id": trigger,
	}
	s.state.Unlock()
	e := s.newEnvelope("interactive", payload, true)
	ack, failure, err := s.ask(ctx, e)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{EnvelopeID: e.ID, Took: ack.After, Err: failure}
	if failure != "" {
		answer.Text = "This action failed: " + failure
	}
	return answer, nil
}

// findAction returns the payload of an element of a message: its own identity and value, with its block's id.
func findAction(blocks json.RawMessage, actionID string) (map[string]any, error) {
	var list []map[string]any
	if err := json.Unmarshal(blocks, &list); err != nil {
		return nil, fmt.Errorf("reading blocks: %w", err)
	}
	for i, b := range list {
		elements, _ := b["elements"].([]any)
		if accessory, ok := b["accessory"]; ok {
			elements = append(elements, accessory)
		}
		for _, x := range elements {
			element, _ := x.(map[string]any)
			if element["action_id"] != actionID {
				continue
			}
			blockID, ok := b["block_id"].(string)
			if !ok {
				blockID = fmt.Sprintf("b%d", i)
			}
			action := map[string]any{"block_id": blockID}
			for _, name := range []string{"type", "action_id", "text", "value"} {
				if v, ok := element[name]; ok {
					action[name] = v
				}
			}
			return action, nil
		}
	}
	return nil, fmt.Errorf("no element with action_id %q", actionID)
}
