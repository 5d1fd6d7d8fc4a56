package audittest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const maxBody = 20 << 20 // Relay's limit for a compressed envelope

func (s *Sentry) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/0/organizations/{org}/issues/{$}", s.api("event:read", s.listIssues))
	mux.HandleFunc("GET /api/0/projects/{org}/{project}/{$}", s.api("project:read", s.showProject))
	mux.HandleFunc("POST /api/{project}/envelope/{$}", s.takeEnvelope)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		detail(w, http.StatusNotFound, "The requested resource does not exist")
	})
	return s.record(mux)
}

// record keeps every request, then lets the chosen misbehaviour have its way.
func (s *Sentry) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := readBody(r)
		var seen bytes.Buffer
		_, _ = fmt.Fprintf(&seen, "%s %s\n", r.Method, r.RequestURI)
		_ = r.Header.Write(&seen)
		_, _ = seen.Write(body)
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.RequestURI)
		s.traffic = append(s.traffic, seen.Bytes())
		behaviour, limited, retry := s.behaviour, s.limited > 0, s.retry
		if limited {
			s.limited--
		}
		s.mu.Unlock()
		if err != nil {
			detail(w, http.StatusBadRequest, "bad request body")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		remaining := 39
		reset := time.Now().Add(time.Second)
		if limited {
			remaining, reset = 0, time.Now().Add(retry)
		}
		w.Header().Set("X-Sentry-Rate-Limit-Limit", "40")
		w.Header().Set("X-Sentry-Rate-Limit-Remaining", strconv.Itoa(remaining))
		w.Header().Set("X-Sentry-Rate-Limit-Reset", strconv.FormatInt(reset.Unix(), 10))
		switch {
		case limited:
			w.Header().Set("Retry-After", strconv.Itoa(int(retry/time.Second)))
			detail(w, http.StatusTooManyRequests, "You are attempting to use this endpoint too frequently.")
		case behaviour == Down:
			detail(w, http.StatusServiceUnavailable, "Sentry is down for maintenance")
		case behaviour == Slow:
			<-r.Context().Done()
		case behaviour == Garbage:
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html><title>Welcome to the proxy</title></html>")
		case !strings.HasSuffix(r.URL.Path, "/"):
			// ServeMux would redirect; Sentry's paths end with a slash or do not exist.
			detail(w, http.StatusNotFound, "The requested resource does not exist")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// readBody reads a body and undoes its compression.
func readBody(r *http.Request) ([]byte, error) {
	var reader io.Reader = http.MaxBytesReader(nil, r.Body, maxBody)
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		unzipped, err := gzip.NewReader(reader)
		if err != nil {
			return nil, fmt.Errorf("reading body: %w", err)
		}
		reader = io.LimitReader(unzipped, 10*maxBody)
	default:
		return nil, fmt.Errorf("reading body: unknown encoding %q", r.Header.Get("Content-Encoding"))
	}
	return io.ReadAll(reader)
}

// api checks token and scope as Sentry does: 401 without a valid token, 403 where
// the token lacks the scope.
func (s *Sentry) api(scope string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		s.mu.Lock()
		valid := kind == "Bearer" && token == s.token && s.behaviour != Revoked
		granted := s.scopes[scope]
		s.mu.Unlock()
		switch {
		case r.Header.Get("Authorization") == "":
			detail(w, http.StatusUnauthorized, "Authentication credentials were not provided.")
		case !valid:
			detail(w, http.StatusUnauthorized, "Invalid token")
		case !granted:
			detail(w, http.StatusForbidden, "You do not have permission to perform this action.")
		case r.PathValue("org") != s.Org:
			detail(w, http.StatusNotFound, "The requested resource does not exist")
		default:
			next(w, r)
		}
	}
}

func (s *Sentry) showProject(w http.ResponseWriter, r *http.Request) {
	if p := r.PathValue("project"); p != s.Project && p != s.ProjectID {
		detail(w, http.StatusNotFound, "The requested resource does not exist")
		return
	}
	answer(w, map[string]string{"id": s.ProjectID, "slug": s.Project, "name": s.Project})
}

// takeEnvelope is Relay's ingest endpoint. The key comes in X-Sentry-Auth; the body
// is JSON lines, of which the first, the header, must be an object.
func (s *Sentry) takeEnvelope(w http.ResponseWriter, r *http.Request) {
	auth := r.Header.Get("X-Sentry-Auth")
	if !strings.HasPrefix(auth, "Sentry ") {
		detail(w, http.StatusUnauthorized, "missing authorization information")
		return
	}
	fields := map[string]string{}
	for _, field := range strings.Split(strings.TrimPrefix(auth, "Sentry "), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	if fields["sentry_key"] != s.key || r.PathValue("project") != s.ProjectID {
		detail(w, http.StatusForbidden, "event submission rejected with_reason: ProjectId")
		return
	}
	if fields["sentry_version"] != "7" {
		detail(w, http.StatusBadRequest, "unsupported protocol version")
		return
	}
	body, err := io.ReadAll(r.Body)
	head, _, _ := bytes.Cut(body, []byte("\n"))
	var header struct {
		EventID string `json:"event_id"`
	}
	if err != nil || json.Unmarshal(head, &header) != nil {
		detail(w, http.StatusBadRequest, "bad envelope header")
		return
	}
	s.mu.Lock()
	s.envelopes = append(s.envelopes, Envelope{ProjectID: r.PathValue("project"), Body: body})
	s.mu.Unlock()
	answer(w, map[string]string{"id": header.EventID})
}

func detail(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"detail": text})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
