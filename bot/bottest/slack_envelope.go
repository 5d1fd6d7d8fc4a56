package bottest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// ErrNoSuchEnvelope says that an envelope id was never sent.
var ErrNoSuchEnvelope = errors.New("no such envelope")

// ErrNotConnected says that the app has no Socket Mode connection open.
var ErrNotConnected = errors.New("the app has no open connection")

// Envelope is what became of one envelope.
type Envelope struct {
	ID         string
	Type       string // slash_commands, interactive or events_api
	Deliveries int
	Acks       []Ack
}

// Ack is one acknowledgement of an envelope.
type Ack struct {
	After   time.Duration // since the latest delivery
	Late    bool          // past the acknowledgement's time-out, so the user saw an error
	Payload json.RawMessage
}

type envelope struct {
	Envelope
	fields    map[string]any
	payloadOK bool // accepts_response_payload
	sent      time.Time
	acked     chan Ack // receives the first acknowledgement in time
	expired   bool
}

// newEnvelope registers an envelope. Its payload must not be changed afterwards.
func (s *Slack) newEnvelope(kind string, payload map[string]any, accepts bool) *envelope {
	id := uuid()
	e := &envelope{
		Envelope: Envelope{ID: id, Type: kind}, payloadOK: accepts, acked: make(chan Ack, 1),
		fields: map[string]any{
			"envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": accepts,
		},
	}
	s.state.Lock()
	defer s.state.Unlock()
	s.envelopes[id] = e
	return e
}

// deliver sends the envelope on one of the open connections, never the same one twice in a row while there is
// another ("Slack may send a payload to any one of your connections").
func (s *Slack) deliver(ctx context.Context, e *envelope) error {
	s.state.Lock()
	sockets := slices.Clone(s.sockets)
	s.counter++
	turn := s.counter
	e.Deliveries++
	e.sent = time.Now()
	frame, err := json.Marshal(e.fields)
	s.state.Unlock()
	if err != nil {
		return fmt.Errorf("encoding envelope: %w", err)
	}
	for i := range sockets {
		sock := sockets[(turn+i)%len(sockets)]
		if sock.write(ctx, websocket.MessageText, frame) {
			return nil
		}
	}
	return ErrNotConnected
}

// await waits for the acknowledgement of a delivered envelope; ok is false when Slack's patience ran out.
func (s *Slack) await(ctx context.Context, e *envelope) (ack Ack, ok bool, err error) {
	timer := time.NewTimer(s.cfg.AckTimeout)
	defer timer.Stop()
	select {
	case ack = <-e.acked:
		return ack, true, nil
	case <-timer.C:
		s.state.Lock()
		e.expired = true
		s.state.Unlock()
		return Ack{}, false, nil
	case <-s.closing:
		return Ack{}, false, errors.New("the workspace was closed")
	case <-ctx.Done():
		return Ack{}, false, ctx.Err()
	}
}

// acknowledge judges one frame from the app. Only acknowledgements are legal.
func (s *Slack) acknowledge(sock *socket, kind websocket.MessageType, frame []byte) {
	var ack struct {
		EnvelopeID string          `json:"envelope_id"`
		Payload    json.RawMessage `json:"payload"`
	}
	switch {
	case kind != websocket.MessageText:
		s.problem("socket %d: a binary frame", sock.id)
		return
	case len(frame) >= maxAckBytes:
		s.problem("socket %d: acknowledgement of %d bytes dropped (limit %d)", sock.id, len(frame), maxAckBytes)
		return
	case json.Unmarshal(frame, &ack) != nil || ack.EnvelopeID == "":
		s.problem("socket %d: a frame that is not an acknowledgement", sock.id)
		return
	}
	s.state.Lock()
	defer s.state.Unlock()
	e := s.envelopes[ack.EnvelopeID]
	if e == nil {
		s.problems = append(s.problems, fmt.Sprintf("socket %d: acknowledged unknown envelope %q", sock.id, ack.EnvelopeID))
		return
	}
	done := Ack{After: time.Since(e.sent), Late: e.expired, Payload: ack.Payload}
	if done.Late {
		s.problems = append(s.problems, fmt.Sprintf("socket %d: late acknowledgement of %s", sock.id, e.ID))
	}
	if string(done.Payload) == "null" {
		done.Payload = nil
	}
	e.Acks = append(e.Acks, done)
	if len(e.Acks) > e.Deliveries {
		s.problems = append(s.problems, fmt.Sprintf("socket %d: %s acknowledged more often than delivered", sock.id, e.ID))
	}
	if !done.Late {
		select {
		case e.acked <- done:
		default: // only the first one counts
		}
	}
}

// Envelope tells what became of an envelope.
func (s *Slack) Envelope(id string) (Envelope, error) {
	s.state.Lock()
	defer s.state.Unlock()
	e := s.envelopes[id]
	if e == nil {
		return Envelope{}, fmt.Errorf("envelope %q: %w", id, ErrNoSuchEnvelope)
	}
	out := e.Envelope
	out.Acks = slices.Clone(e.Acks)
	return out, nil
}

// Redeliver sends an envelope again, acknowledged or not, as Slack does when an acknowledgement got lost on its way.
// With several connections it takes another one than before. What the app answers is in [Slack.Envelope].
func (s *Slack) Redeliver(ctx context.Context, id string) error {
	s.state.Lock()
	e := s.envelopes[id]
	if e != nil {
		e.fields["retry_attempt"], e.fields["retry_reason"] = e.Deliveries, "timeout"
	}
	s.state.Unlock()
	if e == nil {
		return fmt.Errorf("envelope %q: %w", id, ErrNoSuchEnvelope)
	}
	return s.deliver(ctx, e)
}

// WaitAcks waits until an envelope was acknowledged n times, or the context ends.
func (s *Slack) WaitAcks(ctx context.Context, id string, n int) (Envelope, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		e, err := s.Envelope(id)
		if err != nil || len(e.Acks) >= n {
			return e, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return e, fmt.Errorf("waiting for acknowledgement %d of %s: %w", n, id, ctx.Err())
		}
	}
}

// Event sends an Events API event (the inner event, such as {"type": "app_mention", …}) and delivers it again after
// each of SlackConfig.EventRetries while it stays unacknowledged. It returns when the event was acknowledged or given
// up; the Envelope tells which.
func (s *Slack) Event(ctx context.Context, event map[string]any) (Envelope, error) {
	s.state.Lock()
	eventID := s.id("Ev")
	s.state.Unlock()
	e := s.newEnvelope("events_api", map[string]any{
		"type": "event_callback", "team_id": s.teamID, "api_app_id": s.appID, "event_id": eventID,
		"event_time": s.cfg.Now().Unix(), "event": event,
	}, false)
	if err := s.deliver(ctx, e); err != nil {
		return Envelope{}, err
	}
	for attempt := 0; ; attempt++ {
		_, ok, err := s.await(ctx, e)
		if err != nil {
			return Envelope{}, err
		}
		if ok || attempt == len(s.cfg.EventRetries) {
			return s.Envelope(e.ID)
		}
		select {
		case <-time.After(s.cfg.EventRetries[attempt]):
		case <-ctx.Done():
			return Envelope{}, ctx.Err()
		}
		s.state.Lock()
		e.expired = false
		s.state.Unlock()
		if err := s.Redeliver(ctx, e.ID); err != nil && !errors.Is(err, ErrNotConnected) {
			return Envelope{}, err
		}
	}
}
