// Package audittest is a Sentry in this process: the part of its REST API that
// rekey asks, and the envelope endpoint its SDKs post to. It exists so that tests
// and the drill meet Sentry's documented rules (token kinds and scopes, slashes,
// cursors, rate limits, counts that are strings) instead of a mock's good will.
//
// Rules: https://docs.sentry.io/api/events/list-an-organizations-issues/,
// https://docs.sentry.io/api/auth/, https://docs.sentry.io/api/pagination/,
// https://docs.sentry.io/api/ratelimits/, https://docs.sentry.io/api/projects/ (client
// keys), https://develop.sentry.dev/sdk/foundations/transport/envelopes/. Key statistics
// and the limits of names are as in the endpoints' own code (getsentry/sentry), what
// ingestion answers to a bad key as in getsentry/relay.
package audittest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Sentry is a running stand-in. All methods are safe for concurrent use.
type Sentry struct {
	Org       string // slug of the one organization
	Project   string // slug of the one project
	ProjectID string // its number

	token    string
	server   *http.Server
	listener net.Listener
	stop     context.CancelFunc // ends requests that Behave slows down

	mu        sync.Mutex
	issues    []Issue
	scopes    map[string]bool
	behaviour Behaviour
	limited   int // requests still to be answered 429
	retry     time.Duration
	traffic   [][]byte
	envelopes []Envelope
	requests  []string
	lost      string // method of a request whose answer is to be lost
	keys      []ClientKey
	used      map[string]map[int64]int // events by key and hour
	events    []event
	delay     int             // look-ups a new event is hidden from
	lagging   int             // envelopes still to be judged by cached
	cached    map[string]bool // keys as ingestion knows them while it lags
	full      int             // envelopes still to be answered 429
	fullFor   time.Duration
}

// Issue is an issue as a test or the drill plants it.
type Issue struct {
	Title     string
	Culprit   string
	Level     string // "" means error
	Value     string // the exception's text
	Count     int64  // events in the window; 0 means 1
	Users     int64
	FirstSeen time.Time // zero: LastSeen
	LastSeen  time.Time // zero: now
	Resolved  bool      // hidden from the default query
	group     string    // what events of one issue have in common; "" for a planted one
}

// Envelope is what an SDK posted.
type Envelope struct {
	ProjectID string
	Key       string // the public key it came with
	Body      []byte // decompressed
}

// Behaviour is how the stand-in misbehaves.
type Behaviour int

// The behaviours.
const (
	Well    Behaviour = iota // as documented
	Down                     // answers 503
	Slow                     // answers nothing until the client or the stand-in gives up
	Garbage                  // answers a web page
	Revoked                  // refuses every token
)

// StartSentry starts a stand-in on a free loopback port with one organization, one
// project with one client key and one token that may read; Grant lets it do more.
func StartSentry() (*Sentry, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting sentry stand-in: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Sentry{
		Org: "leather", Project: "leather-api", ProjectID: "4501",
		// Organization tokens begin with sntrys_, personal ones with sntryu_.
		token:    "sntryu_" + random(32),
		listener: listener, stop: stop,
		scopes: map[string]bool{"event:read": true, "project:read": true},
		used:   map[string]map[int64]int{},
	}
	s.AddKey("Default")
	s.server = &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() { _ = s.server.Serve(listener) }() // ends with ErrServerClosed
	return s, nil
}

// random answers n random bytes in hex.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// URL is what a client is configured with.
func (s *Sentry) URL() string { return "http://" + s.listener.Addr().String() }

// DSN is what an SDK is configured with: the DSN of the project's oldest key.
func (s *Sentry) DSN() string { return s.DSNOf(s.Keys()[0], false) }

// Token is the API token.
func (s *Sentry) Token() string { return s.token }

// Close stops the stand-in and ends all requests.
func (s *Sentry) Close() error {
	s.stop()
	return s.server.Close()
}

// AddIssue plants an issue and answers its id.
func (s *Sentry) AddIssue(i Issue) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.LastSeen.IsZero() {
		i.LastSeen = time.Now()
	}
	if i.FirstSeen.IsZero() {
		i.FirstSeen = i.LastSeen
	}
	if i.Level == "" {
		i.Level = "error"
	}
	i.Count = max(1, i.Count)
	s.issues = append(s.issues, i)
	return strconv.Itoa(firstIssueID + len(s.issues) - 1)
}

const firstIssueID = 9001

// Behave changes how requests are answered from now on.
func (s *Sentry) Behave(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour = b
}

// Limit answers the next n requests with 429 and a Retry-After, in whole seconds.
func (s *Sentry) Limit(n int, retry time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limited, s.retry = n, retry
}

// LoseAnswer does the next request of this method and then cuts the connection, so that
// whoever asked cannot know.
func (s *Sentry) LoseAnswer(method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = method
}

// Grant replaces the scopes of the token.
func (s *Sentry) Grant(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.scopes)
	for _, scope := range scopes {
		s.scopes[scope] = true
	}
}

// Traffic is every byte received so far: for each request its line, headers and
// decompressed body.
func (s *Sentry) Traffic() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]byte(nil), s.traffic...)
}

// Envelopes are what SDKs posted and Sentry would have taken.
func (s *Sentry) Envelopes() []Envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Envelope(nil), s.envelopes...)
}

// Requests are the method and URI of every request, in order.
func (s *Sentry) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}
