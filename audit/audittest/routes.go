package audittest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxBody = 20 << 20 // Relay's limit for a compressed envelope

func (s *Sentry) routes() http.Handler {
	mux := http.NewServeMux()
	const project = "/api/0/projects/{org}/{project}/"
	const key = project + "keys/{key}/"
	read, write := []string{"project:read", "project:write", "project:admin"}, []string{"project:write", "project:admin"}
	mux.HandleFunc("GET /api/0/{$}", s.index)
	mux.HandleFunc("GET /api/0/organizations/{org}/issues/{$}", s.api(s.listIssues, "event:read"))
	mux.HandleFunc("GET "+project+"{$}", s.api(s.showProject, read...))
	mux.HandleFunc("GET "+project+"events/{event}/{$}", s.api(s.showEvent, "event:read"))
	mux.HandleFunc("GET "+project+"keys/{$}", s.api(s.listKeys, read...))
	mux.HandleFunc("POST "+project+"keys/{$}", s.api(s.createKey, write...))
	mux.HandleFunc("GET "+key+"{$}", s.api(s.withKey(s.showKey), read...))
	mux.HandleFunc("PUT "+key+"{$}", s.api(s.withKey(s.updateKey), write...))
	mux.HandleFunc("DELETE "+key+"{$}", s.api(s.withKey(s.deleteKey), "project:admin"))
	mux.HandleFunc("GET "+key+"stats/{$}", s.api(s.withKey(s.keyStats), read...))
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
		lost := s.lost == r.Method && !limited
		if lost {
			s.lost = ""
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
		case lost:
			next.ServeHTTP(&nowhere{header: http.Header{}}, r)
			panic(http.ErrAbortHandler) // the server cuts the connection
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// nowhere takes an answer that nobody will see.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(int)             {}

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
// the token has none of the scopes.
func (s *Sentry) api(next http.HandlerFunc, scopes ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		s.mu.Lock()
		valid := kind == "Bearer" && token == s.token && s.behaviour != Revoked
		granted := slices.ContainsFunc(scopes, func(scope string) bool { return s.scopes[scope] })
		s.mu.Unlock()
		switch {
		case r.Header.Get("Authorization") == "":
			detail(w, http.StatusUnauthorized, "Authentication credentials were not provided.")
		case !valid:
			detail(w, http.StatusUnauthorized, "Invalid token")
		case !granted:
			detail(w, http.StatusForbidden, "You do not have permission to perform this action.")
		case r.PathValue("org") != s.Org, !s.isProject(r.PathValue("project")):
			detail(w, http.StatusNotFound, "The requested resource does not exist")
		default:
			next(w, r)
		}
	}
}

// isProject reports whether a path names the project, or none.
func (s *Sentry) isProject(name string) bool {
	return name == "" || name == s.Project || name == s.ProjectID
}

func (s *Sentry) showProject(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]string{"id": s.ProjectID, "slug": s.Project, "name": s.Project})
}

// index answers GET /api/0/, which anybody may ask: who is asking, with which scopes.
func (s *Sentry) index(w http.ResponseWriter, r *http.Request) {
	header := r.Header.Get("Authorization")
	s.mu.Lock()
	known := header == "Bearer "+s.token && s.behaviour != Revoked
	scopes := slices.Sorted(maps.Keys(s.scopes))
	s.mu.Unlock()
	var auth any
	switch {
	case known:
		auth = map[string]any{"scopes": scopes}
	case header != "":
		detail(w, http.StatusUnauthorized, "Invalid token")
		return
	}
	answer(w, map[string]any{"version": "0", "auth": auth, "user": nil})
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
