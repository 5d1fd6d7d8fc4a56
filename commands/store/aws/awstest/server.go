// Package awstest is AWS Secrets Manager in a process: an HTTP server that keeps the
// rules AWS documents for the calls rekey makes. It exists so that what rekey relies
// on (a staging label is on one version, a version never changes, AWSCURRENT moves
// only from where it is) is enforced by something else than rekey's own code.
//
// It keeps no accounts, keys, policies or replicas. Where AWS's documentation is
// silent, the stand-in chooses the answer that is harder for its client.
package awstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"rekey/audit/audittest/sigv4"
)

// The quotas AWS documents.
const (
	MaxBytes    = 65_536 // of a value
	MaxStages   = 20     // staging labels on all versions of a secret together
	MaxVersions = 100    // versions of a secret
	youth       = 24 * time.Hour
)

// Config changes how a Server behaves; the zero Config is AWS.
type Config struct {
	Region string           // "eu-central-1" when ""
	Now    func() time.Time // dates versions; time.Now when nil
}

// Server is the stand-in. It is safe for concurrent use.
type Server struct {
	URL string

	cfg  Config
	http *httptest.Server

	mu      sync.Mutex
	secrets map[string]*held
	faults  []*Fault
	calls   []Call
}

// Call is one request that was well formed and signed, in the order of arrival.
type Call struct {
	Operation string // "PutSecretValue"
	SecretID  string
	Token     string // ClientRequestToken
	Stage     string // VersionStage
}

// New starts a Server; Close ends it.
func New(cfg Config) *Server {
	if cfg.Region == "" {
		cfg.Region = "eu-central-1"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, secrets: map[string]*held{}}
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

// Calls answers what was asked so far; of one operation where it is named.
func (s *Server) Calls(operation string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Call
	for _, c := range s.calls {
		if operation == "" || c.Operation == operation {
			out = append(out, c)
		}
	}
	return out
}

// refusal is an error of AWS's protocol.
type refusal struct {
	status int
	code   string
	says   string
}

func (r *refusal) Error() string { return r.code + ": " + r.says }

func refuse(code, format string, args ...any) error {
	return &refusal{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

// input is the union of what the calls take.
type input struct {
	SecretID            string
	VersionID           string
	VersionStage        string
	VersionStages       []string
	ClientRequestToken  string
	SecretString        *string
	SecretBinary        *string
	RotationToken       string
	MoveToVersionID     string
	RemoveFromVersionID string
}

// ServeHTTP answers one call of the AWS JSON 1.1 protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation, in, err := s.read(r)
	if err != nil {
		answer(w, nil, err)
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, Call{operation, in.SecretID, in.ClientRequestToken, in.VersionStage})
	f := s.fault(operation, in)
	s.mu.Unlock()
	if f != nil && f.Before != nil {
		f.Before()
	}
	if f != nil && f.Kind != DropAnswer && f.Kind != Nothing {
		f.strike(w)
		return
	}
	s.mu.Lock()
	out, err := s.do(operation, in)
	s.mu.Unlock()
	if f != nil && f.Kind == DropAnswer {
		f.strike(w)
		return
	}
	answer(w, out, err)
}

// read checks the protocol: method, target, content type, signature, body.
func (s *Server) read(r *http.Request) (operation string, in input, err error) {
	target, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	if !ok || r.Method != http.MethodPost || r.URL.Path != "/" {
		return "", in, refuse("UnknownOperationException", "POST / with X-Amz-Target")
	}
	if r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return "", in, refuse("SerializationException", "content type %q", r.Header.Get("Content-Type"))
	}
	if f := sigv4.Check(r, s.cfg.Region, "secretsmanager"); f != nil {
		return "", in, refuse(f.Code, "%s", f.Says)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil || json.Unmarshal(body, &in) != nil {
		return "", in, refuse("SerializationException", "the body is no JSON object")
	}
	if in.SecretID == "" || len(in.SecretID) > 2048 {
		return "", in, refuse("ValidationException", "secretId must have 1 to 2048 characters")
	}
	return target, in, nil
}

func answer(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "5d8b1c1e-0000-4000-8000-000000000000")
	var r *refusal
	if errors.As(err, &r) {
		w.Header().Set("X-Amzn-Errortype", r.code)
		w.WriteHeader(r.status)
		out = map[string]string{"__type": r.code, "Message": r.says}
	}
	_ = json.NewEncoder(w).Encode(out) // the client went away: its matter
}
