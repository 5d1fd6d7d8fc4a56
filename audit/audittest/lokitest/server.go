// Package lokitest is a Grafana Loki in this process: its range query over lines that a
// test pushed, with a gateway's authentication in front. It exists so that tests and the
// drill meet Loki's documented rules (tenants, limits and their error texts, nanoseconds,
// a selector and line filters that are really parsed and applied) instead of a mock's
// good will.
//
// Rules: https://grafana.com/docs/loki/latest/reference/loki-http-api/ (query_range),
// https://grafana.com/docs/loki/latest/query/log_queries/,
// https://grafana.com/docs/loki/latest/operations/troubleshooting/troubleshoot-query/
// (texts of errors and default limits),
// https://grafana.com/docs/loki/latest/operations/multi-tenancy/. Of LogQL it knows stream
// selectors and line filters; everything else is a parse error.
package lokitest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rekey/audit/audittest"
)

// The limits Loki has unless it is told others.
const (
	MaxEntries = 5000
	MaxLength  = 721 * time.Hour
)

// Config changes how a Server behaves; the zero Config is a Loki without tenants behind no
// gateway.
type Config struct {
	Tenant      string        // X-Scope-OrgID that is wanted; "" for none
	User, Token string        // basic authentication; a bearer token where User is ""
	MaxEntries  int           // 0 means MaxEntries
	MaxLength   time.Duration // 0 means MaxLength
	Lookback    time.Duration // max_query_lookback; 0 for none
	// MaxBytes is max_query_bytes_read; 0 for none.
	MaxBytes int64
	Now      func() time.Time // nil means time.Now
}

// Entry is one line with its time.
type Entry struct {
	At   time.Time
	Line string
}

// Request is a range query that was well formed and let in.
type Request struct {
	Query      string
	Start, End time.Time
	Limit      int
	Direction  string
}

// Server is a running stand-in. All methods are safe for concurrent use.
type Server struct {
	cfg      Config
	server   *http.Server
	listener net.Listener
	stop     context.CancelFunc

	mu        sync.Mutex
	streams   map[string]*stream
	requests  []Request
	behaviour audittest.Behaviour
	limited   int // requests still to be answered 429
	retry     time.Duration
}

type stream struct {
	labels  map[string]string
	entries []Entry // by time
}

// Start starts a Server on a free loopback port.
func Start(cfg Config) (*Server, error) {
	if cfg.MaxEntries == 0 {
		cfg.MaxEntries = MaxEntries
	}
	if cfg.MaxLength == 0 {
		cfg.MaxLength = MaxLength
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting loki stand-in: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{cfg: cfg, listener: listener, stop: stop, streams: map[string]*stream{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /loki/api/v1/query_range", s.queryRange)
	s.server = &http.Server{
		Handler: s.gate(mux), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() { _ = s.server.Serve(listener) }() // ends with ErrServerClosed
	return s, nil
}

// URL is what a client is configured with.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Close stops the stand-in and ends all requests.
func (s *Server) Close() error {
	s.stop()
	return s.server.Close()
}

// Push adds lines to the stream of these labels. As Loki does, it keeps one of two entries
// that are equal in time and text.
func (s *Server) Push(labels map[string]string, entries ...Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var key strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&key, "%s=%q,", name, labels[name])
	}
	st := s.streams[key.String()]
	if st == nil {
		st = &stream{labels: maps.Clone(labels)}
		s.streams[key.String()] = st
	}
	st.entries = append(st.entries, entries...)
	slices.SortStableFunc(st.entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	seen := map[Entry]bool{}
	st.entries = slices.DeleteFunc(st.entries, func(e Entry) bool {
		e.At = e.At.UTC().Round(0)
		again := seen[e]
		seen[e] = true
		return again
	})
}

// Requests are the range queries so far, in order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Behave changes how requests are answered from now on.
func (s *Server) Behave(b audittest.Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour = b
}

// Limit answers the next n requests with 429 and a Retry-After, in whole seconds.
func (s *Server) Limit(n int, retry time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limited, s.retry = n, retry
}

// gate lets the chosen misbehaviour have its way and checks who asks: first the gateway,
// which knows users, then Loki, which knows tenants.
func (s *Server) gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		behaviour, limited, retry := s.behaviour, s.limited > 0, s.retry
		if limited {
			s.limited--
		}
		s.mu.Unlock()
		switch {
		case behaviour == audittest.Down:
			http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
		case behaviour == audittest.Slow:
			<-r.Context().Done()
		case behaviour == audittest.Garbage:
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html><title>Welcome to the proxy</title></html>")
		case behaviour == audittest.Revoked || !s.knows(r):
			w.Header().Set("WWW-Authenticate", `Basic realm="loki"`)
			http.Error(w, "invalid credentials", http.StatusUnauthorized)
		case s.cfg.Tenant != "" && r.Header.Get("X-Scope-OrgID") == "":
			http.Error(w, "no org id", http.StatusUnauthorized)
		case limited:
			w.Header().Set("Retry-After", strconv.Itoa(int(retry/time.Second)))
			http.Error(w, "too many outstanding requests", http.StatusTooManyRequests)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knows reports whether the gateway lets a request through.
func (s *Server) knows(r *http.Request) bool {
	switch {
	case s.cfg.Token == "":
		return true
	case s.cfg.User != "":
		user, password, ok := r.BasicAuth()
		return ok && user == s.cfg.User && password == s.cfg.Token
	}
	return r.Header.Get("Authorization") == "Bearer "+s.cfg.Token
}
