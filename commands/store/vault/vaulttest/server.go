// Package vaulttest is a stand-in for a HashiCorp Vault or OpenBao server: KV version 2
// engines behind the documented HTTP API. It enforces what the real one enforces
// (tokens, policies, namespaces, check-and-set, pruned versions), and can do what a real
// one does on its worst days: be sealed, be a standby, limit requests, lose an
// answer after the act, or act long after everybody stopped waiting. It exists so that
// tests and the drill meet those days.
package vaulttest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// Root is the token that may do everything.
const Root = "hvs.root-of-the-stand-in"

// maxBody is the real server's default limit for a request, 32 MiB.
const maxBody = 32 << 20

// Server is a server in this process. It is safe for concurrent use.
type Server struct {
	URL string

	http *httptest.Server

	mu         sync.Mutex
	namespaces map[string]bool
	engines    map[string]*engine // by namespace + mount, each ending in a slash
	tokens     map[string]grant
	sealed     bool
	active     string // the URL a standby redirects to; "" when this node is active
	faults     []*Fault
	requests   []string
}

// grant is what a token may do.
type grant struct {
	namespace string
	policy    Policy
	root      bool
}

// New starts a server with the token Root and an engine at "secret". Close it.
func New() *Server {
	s := &Server{
		namespaces: map[string]bool{"": true},
		engines:    map[string]*engine{},
		tokens:     map[string]grant{Root: {root: true}},
	}
	s.Mount("", "secret")
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL
	return s
}

// Close stops the server.
func (s *Server) Close() { s.http.Close() }

// Mount makes an engine at path in a namespace; both come into being as needed.
func (s *Server) Mount(namespace, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns := strings.Trim(namespace, "/")
	s.namespaces[ns] = true
	s.engines[ns+"|"+strings.Trim(path, "/")+"/"] = &engine{secrets: map[string]*keyed{}}
}

// Grant makes a token of a namespace with a policy.
func (s *Server) Grant(token, namespace string, p Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = grant{namespace: strings.Trim(namespace, "/"), policy: maps.Clone(p)}
}

// Revoke ends a token.
func (s *Server) Revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

// Seal seals the server, or unseals it.
func (s *Server) Seal(sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = sealed
}

// StandbyOf makes this node a standby that redirects to the active node; "" makes it
// active.
func (s *Server) StandbyOf(active string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = active
}

// Requests answers what was asked so far, as "PUT secret/data/app".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Do asks as Root in the root namespace and past all faults, as a person does who
// works on another node.
func (s *Server) Do(method, path string, body any) (status int, answer map[string]any) {
	text, err := json.Marshal(body)
	if err != nil {
		return http.StatusBadRequest, nil
	}
	status, whole := s.answer(request{
		method: method, path: path, token: Root, requested: true, body: text,
	})
	answer, _ = whole.(map[string]any)
	return status, answer
}

// Finds reports whether text is in any version of any secret that is still stored,
// deleted ones included.
func (s *Server) Finds(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.engines {
		for _, k := range e.secrets {
			for _, v := range k.versions {
				if bytes.Contains(v.data, []byte(text)) {
					return true
				}
			}
		}
	}
	return false
}

// request is one request, taken apart.
type request struct {
	method    string // LIST for GET with list=true
	path      string // below /v1/
	version   string // ?version=
	namespace string
	token     string
	requested bool // X-Vault-Request
	body      []byte
}

// ServeHTTP answers as the HTTP API does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok {
		write(w, http.StatusNotFound, nil)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		write(w, http.StatusRequestEntityTooLarge, refusal("http: request body too large"))
		return
	}
	q := request{
		method: r.Method, path: path, version: r.URL.Query().Get("version"),
		namespace: strings.Trim(r.Header.Get("X-Vault-Namespace"), "/"),
		token:     r.Header.Get("X-Vault-Token"), requested: r.Header.Get("X-Vault-Request") == "true",
		body: body,
	}
	if r.Method == http.MethodGet && r.URL.Query().Get("list") == "true" {
		q.method = "LIST"
	}
	s.mu.Lock()
	s.requests = append(s.requests, q.method+" "+path)
	active := s.active
	fault := s.fault(q)
	s.mu.Unlock()
	if fault != nil && s.fail(w, q, fault) {
		return
	}
	if active != "" && path != "sys/health" && path != "sys/seal-status" {
		w.Header().Set("Location", active+r.URL.RequestURI())
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	status, whole := s.answer(q)
	write(w, status, whole)
}

func write(w http.ResponseWriter, status int, whole any) {
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	if whole == nil {
		whole = refusal()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(whole)
}

// refusal is the body of an error.
func refusal(texts ...string) map[string]any {
	if texts == nil {
		texts = []string{}
	}
	return map[string]any{"errors": texts}
}

// wrapped is the body of an answer with data.
func wrapped(data any) map[string]any {
	return map[string]any{
		"request_id": "5e2f6a0c-0000-4000-8000-000000000000", "lease_id": "", "renewable": false,
		"lease_duration": 0, "data": data, "wrap_info": nil, "warnings": nil, "auth": nil, "mount_type": "kv",
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
