package socket

import (
	"encoding/json"
	"errors"
	"time"
)

// The types of envelope rekey knows.
const (
	SlashCommands = "slash_commands"
	Interactive   = "interactive"
	EventsAPI     = "events_api"
)

// Envelope is one thing Slack delivers. Payload is as sent and may hold a secret
// somebody typed: it must not be logged.
type Envelope struct {
	ID              string
	Type            string
	Payload         json.RawMessage
	AcceptsResponse bool // an acknowledgement may carry a payload
	RetryAttempt    int  // 0 for the first delivery
	RetryReason     string
	Arrived         time.Time // when it was read from the connection
}

// frame is every message Slack sends, told apart by Type; an envelope has an ID.
type frame struct {
	Type            string          `json:"type"`
	Reason          string          `json:"reason"` // disconnect
	ID              string          `json:"envelope_id"`
	Payload         json.RawMessage `json:"payload"`
	AcceptsResponse bool            `json:"accepts_response_payload"`
	RetryAttempt    int             `json:"retry_attempt"`
	RetryReason     string          `json:"retry_reason"`
}

// The control messages, and the reasons of a disconnect that are told apart.
const (
	typeHello      = "hello"
	typeDisconnect = "disconnect"

	linkDisabled = "link_disabled"       // Socket Mode was turned off
	tooMany      = "too_many_websockets" // more than ten connections
)

var errGarbled = errors.New("not a Socket Mode message")

// decode reads one message. The error says nothing of its content.
func decode(b []byte) (frame, error) {
	var f frame
	if err := json.Unmarshal(b, &f); err != nil || (f.Type == "" && f.ID == "") {
		return frame{}, errGarbled
	}
	return f, nil
}

// maxAck is the size at which Slack's own clients refuse a response payload.
const maxAck = 20 * 1024

// encodeAck builds the acknowledgement of e. Where the payload cannot be sent the
// bare acknowledgement is built and fits is false: a person without an answer is
// better off than one who is told that the command timed out.
func encodeAck(e Envelope, payload any) (b []byte, fits bool) {
	bare := struct {
		ID      string          `json:"envelope_id"`
		Payload json.RawMessage `json:"payload,omitempty"`
	}{ID: e.ID}
	fits = true
	if payload != nil && e.AcceptsResponse {
		p, err := json.Marshal(payload)
		if err == nil && len(p) < maxAck {
			bare.Payload = p
		} else {
			fits = false
		}
	}
	b, err := json.Marshal(bare)
	if err != nil { // a string and checked JSON: cannot happen
		return nil, false
	}
	return b, fits
}
