// Package cloudwatchtest is Amazon CloudWatch Logs in this process: the calls of Logs
// Insights, and the list of log groups. It exists so that tests and the drill meet AWS's
// documented rules (signatures, a query's life from Scheduled to Complete, partial results,
// 10,000 rows, concurrent queries, retention) through AWS's own client.
//
// Rules: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html,
// API_GetQueryResults.html, API_StopQuery.html and API_DescribeLogGroups.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html,
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html. Of the query
// language it knows fields, filter @message like, sort @timestamp and limit; everything else
// is malformed. Where AWS's documentation is silent, the stand-in chooses the answer that is
// harder for its client.
package cloudwatchtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"rekey/audit/audittest/sigv4"
)

// The quotas AWS documents.
const (
	MaxRows    = 10_000 // of a query
	Concurrent = 30     // queries of an account and region
)

// Config changes how a Server behaves; the zero Config is AWS.
type Config struct {
	Region     string           // "eu-central-1" when ""
	MaxRows    int              // 0 means MaxRows; smaller ones keep tests small
	Concurrent int              // 0 means Concurrent
	Now        func() time.Time // nil means time.Now
}

// Event is one log event.
type Event struct {
	At      time.Time // AWS keeps milliseconds
	Message string
	stream  string
	ptr     string
}

// Group is a log group's settings.
type Group struct {
	Created       time.Time
	RetentionDays int // 0 keeps events for ever
}

// Query is one query as it was started.
type Query struct {
	ID, Group, Text string
	Start, End      time.Time
	Status          string
	Scanned         int64 // bytes
}

// Server is the stand-in. It is safe for concurrent use.
type Server struct {
	URL string

	cfg  Config
	http *httptest.Server

	mu       sync.Mutex
	groups   map[string]*group
	queries  []*running
	events   int
	denied   map[string]bool
	throttle map[string]int
	occupied int    // concurrent queries of somebody else
	ends     string // how queries end; "" means Complete
	held     bool   // queries stay Running
}

type group struct {
	Group
	events []Event // by time
}

// running is a query and its results.
type running struct {
	Query
	rows    []map[string]string
	matched int
	scanned int
	polls   int
}

// New starts a Server; Close ends it.
func New(cfg Config) *Server {
	if cfg.Region == "" {
		cfg.Region = "eu-central-1"
	}
	if cfg.MaxRows == 0 {
		cfg.MaxRows = MaxRows
	}
	if cfg.Concurrent == 0 {
		cfg.Concurrent = Concurrent
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, groups: map[string]*group{}, denied: map[string]bool{}, throttle: map[string]int{}}
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL
	return s
}

// Close ends the server and its connections.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
}

// Region is where the server is.
func (s *Server) Region() string { return s.cfg.Region }

// AddGroup creates a log group.
func (s *Server) AddGroup(name string, g Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[name] = &group{Group: g}
}

// Put adds events to a stream of a group that exists.
func (s *Server) Put(name, stream string, events ...Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[name]
	for _, e := range events {
		s.events++
		e.At, e.stream, e.ptr = e.At.UTC().Truncate(time.Millisecond), stream, fmt.Sprintf("Cl%08d", s.events)
		g.events = append(g.events, e)
	}
	slices.SortStableFunc(g.events, func(a, b Event) int { return a.At.Compare(b.At) })
}

// Queries are the queries so far, in the order they were started.
func (s *Server) Queries() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Query, 0, len(s.queries))
	for _, q := range s.queries {
		list = append(list, q.Query)
	}
	return list
}

// Deny refuses calls of these operations from now on.
func (s *Server) Deny(operations ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range operations {
		s.denied[o] = true
	}
}

// Throttle refuses the next n calls of an operation.
func (s *Server) Throttle(operation string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.throttle[operation] = n
}

// Occupy says how many queries somebody else is running.
func (s *Server) Occupy(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.occupied = n
}

// End lets queries end with another status than Complete: Failed, Cancelled or Timeout.
func (s *Server) End(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = status
}

// Hold keeps queries Running until they are stopped.
func (s *Server) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

// refusal is an error of AWS's protocol.
type refusal struct{ code, says string }

func (r *refusal) Error() string { return r.code + ": " + r.says }

func refuse(code, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// ServeHTTP answers one call of the AWS JSON 1.1 protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := s.call(r)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "5d8b1c1e-0000-4000-8000-000000000000")
	var no *refusal
	if errors.As(err, &no) {
		w.Header().Set("X-Amzn-Errortype", no.code)
		w.WriteHeader(http.StatusBadRequest)
		out = map[string]string{"__type": no.code, "message": no.says}
	}
	_ = json.NewEncoder(w).Encode(out) // the client went away: its matter
}

func (s *Server) call(r *http.Request) (any, error) {
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "Logs_20140328.")
	if !ok || r.Method != http.MethodPost || r.URL.Path != "/" {
		return nil, refuse("UnknownOperationException", "POST / with X-Amz-Target")
	}
	if r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return nil, refuse("SerializationException", "content type %q", r.Header.Get("Content-Type"))
	}
	if f := sigv4.Check(r, s.cfg.Region, "logs"); f != nil {
		return nil, refuse(f.Code, "%s", f.Says)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var in input
	if err != nil || json.Unmarshal(body, &in) != nil {
		return nil, refuse("SerializationException", "the body is no JSON object")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.denied[operation] {
		return nil, refuse("AccessDeniedException", "User: arn:aws:iam::123456789012:user/rekey is not authorized to perform: logs:%s", operation)
	}
	if s.throttle[operation] > 0 {
		s.throttle[operation]--
		return nil, refuse("ThrottlingException", "Rate exceeded")
	}
	switch operation {
	case "StartQuery":
		return s.start(in)
	case "GetQueryResults":
		return s.results(in)
	case "StopQuery":
		return s.stop(in)
	case "DescribeLogGroups":
		return s.describe(in)
	}
	return nil, refuse("UnknownOperationException", "the stand-in has no %s", operation)
}
