package bottest

import (
	"context"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// Reasons Slack gives in a disconnect message.
const (
	// Warning announces that the connection ends soon (about ten seconds).
	Warning = "warning"
	// RefreshRequested asks for a new connection because the container behind the old one goes away.
	RefreshRequested = "refresh_requested"
	// LinkDisabled says that Socket Mode was switched off in the app's settings.
	LinkDisabled = "link_disabled"
)

// Connections is how many Socket Mode connections are open.
func (s *Slack) Connections() int {
	s.state.Lock()
	defer s.state.Unlock()
	return len(s.sockets)
}

// Opened is how many Socket Mode connections were opened since the start, the ones that have ended included.
func (s *Slack) Opened() int {
	s.state.Lock()
	defer s.state.Unlock()
	return s.opened
}

// WaitConnections waits until at least n Socket Mode connections are open, or the context ends.
func (s *Slack) WaitConnections(ctx context.Context, n int) error {
	for {
		s.state.Lock()
		open, changed := len(s.sockets), s.changed
		s.state.Unlock()
		if open >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Disconnect sends a disconnect message on every open connection. With Warning and RefreshRequested the connections
// still work, and still get envelopes, until SlackConfig.DisconnectDelay is over; LinkDisabled ends them at once and
// keeps the app out until [Slack.EnableSocketMode].
func (s *Slack) Disconnect(reason string) {
	delay := s.cfg.DisconnectDelay
	if reason == LinkDisabled {
		delay = 0
		s.set(func() { s.disabled = true })
	}
	for _, sock := range s.open() {
		sock.send(context.Background(), disconnectMessage(reason))
		s.mu.Lock()
		select {
		case <-s.closing:
		default:
			s.done.Go(func() { s.end(sock, delay) })
		}
		s.mu.Unlock()
	}
}

// end closes a connection in an orderly way after a delay.
func (s *Slack) end(sock *socket, delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		// Slack closes without waiting for the client's side of the handshake, and so may this fail.
		_ = sock.conn.Close(websocket.StatusNormalClosure, "")
	case <-s.closing:
	}
}

// EnableSocketMode switches Socket Mode on again after Disconnect(LinkDisabled).
func (s *Slack) EnableSocketMode() { s.set(func() { s.disabled = false }) }

// DropConnections resets every Socket Mode connection at TCP level, without a word.
func (s *Slack) DropConnections() {
	for _, sock := range s.open() {
		cut(sock.raw)
	}
}

// StopPings stops, or resumes, the server's pings on every connection, present and future.
func (s *Slack) StopPings(stop bool) { s.set(func() { s.silentPings = stop }) }

// RefuseConnections refuses, or admits again, the WebSocket handshake; apps.connections.open hands out addresses still.
func (s *Slack) RefuseConnections(refuse bool) { s.set(func() { s.refuse = refuse }) }

// SendFrame sends a text frame as it is on every open connection.
func (s *Slack) SendFrame(ctx context.Context, frame []byte) {
	for _, sock := range s.open() {
		sock.write(ctx, websocket.MessageText, frame)
	}
}

// SendGarbage sends, on every open connection, frames no Slack client should stumble over: text that is not JSON,
// JSON of a type nobody has heard of, an envelope without a payload, and a binary frame.
func (s *Slack) SendGarbage(ctx context.Context) {
	for _, frame := range []string{
		`not json at all`, `{"type":"weather","temperature":21}`, `[1,2,3]`, `{"type":"slash_commands","envelope_id":""}`,
	} {
		s.SendFrame(ctx, []byte(frame))
	}
	for _, sock := range s.open() {
		sock.write(ctx, websocket.MessageBinary, []byte{0, 1, 2})
	}
}

func (s *Slack) open() []*socket {
	s.state.Lock()
	defer s.state.Unlock()
	return slices.Clone(s.sockets)
}

func (s *Slack) set(change func()) {
	s.state.Lock()
	defer s.state.Unlock()
	change()
}
