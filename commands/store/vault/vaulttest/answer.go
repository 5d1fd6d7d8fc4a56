package vaulttest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The server's words. What they are attached to is the contract; clients should go by
// the status alone.
const (
	denied     = "1 error occurred:\n\t* permission denied\n\n"
	badToken   = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"
	mismatch   = "check-and-set parameter did not match the current version"
	casMissing = "check-and-set parameter required for this call"
)

// answer is the server's whole mind: who asks, may they, and what then.
func (s *Server) answer(q request) (int, any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !q.requested {
		return http.StatusPreconditionFailed, refusal(`missing "X-Vault-Request" header`)
	}
	switch {
	case q.path == "sys/seal-status" && q.namespace != "":
		return http.StatusBadRequest, refusal("operation unavailable in namespaces")
	case q.path == "sys/seal-status":
		return http.StatusOK, map[string]any{"type": "shamir", "initialized": true, "sealed": s.sealed, "t": 3, "n": 5, "progress": 0}
	case q.path == "sys/health":
		return s.health()
	case s.sealed:
		return http.StatusServiceUnavailable, refusal("Vault is sealed")
	case !s.namespaces[q.namespace]:
		return http.StatusNotFound, refusal("namespace not found")
	}
	g, known := s.tokens[q.token]
	if !known || !within(g.namespace, q.namespace) {
		return http.StatusForbidden, refusal(badToken)
	}
	if q.path == "sys/capabilities-self" {
		return g.capabilities(q.body)
	}
	e, rest := s.route(q)
	verb, key, _ := strings.Cut(rest, "/")
	key = strings.TrimSuffix(key, "/")
	exists := e != nil && (verb != "data" && verb != "metadata" || e.secrets[key] != nil)
	if !g.allows(q, exists) {
		return http.StatusForbidden, refusal(denied)
	}
	if e == nil {
		return http.StatusNotFound, refusal(fmt.Sprintf("no handler for route %q. route entry not found.", q.path))
	}
	return e.do(q, verb, key)
}

func (s *Server) health() (int, any) {
	body := map[string]any{"initialized": true, "sealed": s.sealed, "standby": s.active != "", "server_time_utc": time.Now().Unix()}
	switch {
	case s.sealed:
		return http.StatusServiceUnavailable, body
	case s.active != "":
		return http.StatusTooManyRequests, body
	}
	return http.StatusOK, body
}

// within reports that a token of one namespace may be used in another: its own and
// those below.
func within(of, in string) bool {
	return of == "" || of == in || strings.HasPrefix(in, of+"/")
}

// route finds the engine of the longest mount.
func (s *Server) route(q request) (e *engine, rest string) {
	longest := -1
	for name, candidate := range s.engines {
		ns, mount, _ := strings.Cut(name, "|")
		if after, ok := strings.CutPrefix(q.path, mount); ok && ns == q.namespace && len(mount) > longest {
			e, rest, longest = candidate, after, len(mount)
		}
	}
	return e, rest
}
