package bottest

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// Socket Mode, as docs.slack.dev, "Using Socket Mode" and "Socket Mode implementation" describe it.
const (
	maxSockets = 10
	// maxAckBytes is where Slack drops an acknowledgement without a word.
	maxAckBytes  = 20 << 10
	writeTimeout = 5 * time.Second
)

// socket is one Socket Mode connection.
type socket struct {
	id   int
	conn *websocket.Conn
	raw  net.Conn
}

// openConnection answers apps.connections.open: an address that is good once, for a while.
func (s *Slack) openConnection(args) (map[string]any, *apiError) {
	s.state.Lock()
	defer s.state.Unlock()
	if s.disabled {
		// Which error a switched-off Socket Mode gives is not documented; this one is in every method's list.
		return nil, refused("internal_error")
	}
	ticket := uuid()
	s.tickets[ticket] = s.cfg.Now().Add(s.cfg.TicketLifetime)
	query := url.Values{"ticket": {ticket}, "app_id": {s.appID}}
	return map[string]any{"url": "ws" + s.url[len("http"):] + "/link/?" + query.Encode()}, nil
}

// admit spends a ticket.
func (s *Slack) admit(ticket string) bool {
	s.state.Lock()
	defer s.state.Unlock()
	expires, ok := s.tickets[ticket]
	delete(s.tickets, ticket)
	if !ok || !s.cfg.Now().Before(expires) {
		s.problems = append(s.problems, "socket: ticket unknown, spent or expired")
		return false
	}
	return !s.refuse && !s.disabled
}

func (s *Slack) serveSocket(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.receive(w, r); !ok {
		return
	}
	if !s.admit(r.URL.Query().Get("ticket")) {
		http.Error(w, "connection refused", http.StatusForbidden)
		return
	}
	// Clients send Slack's own origin, which is not this server's.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(1 << 20)
	raw, _ := r.Context().Value(connKey{}).(net.Conn)
	sock := &socket{conn: conn, raw: raw}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	defer conn.CloseNow()

	n := s.join(sock)
	defer s.leave(sock)
	if n > maxSockets {
		sock.send(ctx, disconnectMessage("too_many_websockets"))
		return
	}
	sock.send(ctx, map[string]any{
		"type": "hello", "num_connections": n,
		"debug_info": map[string]any{
			"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060,
		},
		"connection_info": map[string]any{"app_id": s.appID},
	})
	s.ready(sock)
	s.done.Go(func() { s.ping(ctx, sock) })
	for {
		kind, frame, err := conn.Read(ctx)
		if err != nil {
			return
		}
		s.record(frame)
		s.acknowledge(sock, kind, frame)
	}
}

func (s *Slack) join(sock *socket) int {
	s.state.Lock()
	defer s.state.Unlock()
	s.nextSocket++
	sock.id = s.nextSocket
	return len(s.sockets) + 1
}

// ready lets events through to the connection, once it has been greeted.
func (s *Slack) ready(sock *socket) {
	s.state.Lock()
	defer s.state.Unlock()
	s.sockets = append(s.sockets, sock)
	s.opened++
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Slack) leave(sock *socket) {
	s.state.Lock()
	defer s.state.Unlock()
	s.sockets = slices.DeleteFunc(s.sockets, func(x *socket) bool { return x == sock })
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Slack) ping(ctx context.Context, sock *socket) {
	tick := time.NewTicker(s.cfg.PingInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.state.Lock()
		silent := s.silentPings
		s.state.Unlock()
		if silent {
			continue
		}
		waiting, cancel := context.WithTimeout(ctx, 4*s.cfg.PingInterval)
		err := sock.conn.Ping(waiting)
		cancel()
		if err != nil {
			return
		}
	}
}

// send writes a message of our own making. When it cannot be written the connection is over, which reading it tells.
func (k *socket) send(ctx context.Context, message map[string]any) {
	frame, err := json.Marshal(message)
	if err == nil {
		k.write(ctx, websocket.MessageText, frame)
	}
}

func (k *socket) write(ctx context.Context, kind websocket.MessageType, frame []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return k.conn.Write(ctx, kind, frame) == nil
}

func disconnectMessage(reason string) map[string]any {
	return map[string]any{
		"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "applink-1"},
	}
}
