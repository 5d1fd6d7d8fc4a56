package bottest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxBody bounds what one request may send; both vendors' own limits are far below it.
const maxBody = 4 << 20

// server is what both stand-ins stand on: an HTTP server on loopback that records what it receives, keeps hold of its
// TCP connections so that they can be cut, and applies Faults.
type server struct {
	Faults
	url     string
	http    *http.Server
	ln      net.Listener
	closing chan struct{}
	done    sync.WaitGroup

	mu      sync.Mutex
	down    bool
	conns   map[net.Conn]struct{}
	traffic [][]byte
}

type connKey struct{}

func (s *server) start(addr string, h http.Handler) error {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", addr, err)
	}
	s.ln = &trackingListener{Listener: ln, s: s}
	s.url = "http://" + ln.Addr().String()
	s.closing = make(chan struct{})
	s.conns = map[net.Conn]struct{}{}
	s.http = &http.Server{
		Handler:           s.counted(h),
		ReadHeaderTimeout: 10 * time.Second,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	s.done.Go(func() {
		// Serve only ever returns because Close closed the listener.
		if err := s.http.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
			return
		}
	})
	return nil
}

// counted lets shut wait for the requests under way, the hijacked ones too, which http.Server does not wait for.
func (s *server) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		select {
		case <-s.closing:
			s.mu.Unlock()
			return
		default:
			s.done.Add(1)
			s.mu.Unlock()
		}
		defer s.done.Done()
		h.ServeHTTP(w, r)
	})
}

// shut stops serving, cuts every connection and waits for everything the server started.
func (s *server) shut() error {
	s.mu.Lock()
	select {
	case <-s.closing:
		s.mu.Unlock()
		return nil
	default:
	}
	close(s.closing)
	s.mu.Unlock()
	err := s.http.Close()
	s.cutAll()
	s.done.Wait()
	if err != nil {
		return fmt.Errorf("closing stand-in: %w", err)
	}
	return nil
}

// Down resets every open connection and every new one, as a host that is gone does, until it is called with false.
func (s *server) Down(down bool) {
	s.mu.Lock()
	s.down = down
	s.mu.Unlock()
	if down {
		s.cutAll()
	}
}

func (s *server) cutAll() {
	s.mu.Lock()
	conns := make([]net.Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		cut(c)
	}
}

// cut ends a TCP connection with a reset, so that the peer learns of it as an error and not as an orderly end.
func cut(c net.Conn) {
	if t, ok := c.(*trackedConn); ok {
		c = t.Conn
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// Traffic returns everything received so far, raw: each HTTP request as its request line, headers and body, and each
// WebSocket frame's payload.
func (s *server) Traffic() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.traffic)
}

func (s *server) record(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.traffic = append(s.traffic, bytes.Clone(b))
}

// receive reads and records one request. It answers the request itself, and reports false, when the body cannot be had.
func (s *server) receive(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "%s %s %s\r\n", r.Method, r.RequestURI, r.Proto)
	_ = r.Header.Write(&raw)
	raw.WriteString("\r\n")
	raw.Write(body)
	s.record(raw.Bytes())
	if err != nil {
		http.Error(w, "body could not be read", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	return body, true
}

// faulty runs one request under the faults in force. refuse writes the vendor's own way of saying an HTTP status.
func (s *server) faulty(w http.ResponseWriter, r *http.Request, operation string,
	refuse func(w http.ResponseWriter, status int), work func(w http.ResponseWriter),
) {
	x, slow := s.next(operation)
	if slow > 0 {
		timer := time.NewTimer(slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.closing:
			return
		case <-r.Context().Done():
			return
		}
	}
	switch x.kind {
	case faultStatus:
		refuse(w, x.status)
	case faultRateLimit:
		retryAfterHeader(w, x.retryAfter)
		refuse(w, http.StatusTooManyRequests)
	case faultGarbage:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<html><body>502 upstream sneezed")
	case faultLoseResponse:
		work(nowhere{})
		if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
			cut(c)
		}
	case faultNone:
		work(w)
	}
}

// trackingListener refuses connections while the stand-in is down and remembers the ones it accepts.
type trackingListener struct {
	net.Listener
	s *server
}

func (l *trackingListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tracked := &trackedConn{Conn: c, s: l.s}
		l.s.mu.Lock()
		down := l.s.down
		if !down {
			l.s.conns[tracked] = struct{}{}
		}
		l.s.mu.Unlock()
		if down {
			cut(c)
			continue
		}
		return tracked, nil
	}
}

type trackedConn struct {
	net.Conn
	s *server
}

func (c *trackedConn) Close() error {
	c.s.mu.Lock()
	delete(c.s.conns, c)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

// nowhere swallows the answer of work whose response is to be lost.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) WriteHeader(int)             {}
