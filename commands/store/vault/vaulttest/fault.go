package vaulttest

import (
	"net/http"
	"strings"
)

// Fault is something that goes wrong with requests of a kind.
type Fault struct {
	Method string // "" for any; "LIST" for a list
	Path   string // a part of the path below /v1/; "" for any
	Token  string // "" for anybody's
	Skip   int    // so many such requests pass first
	Times  int    // how many are hit; 0 means one

	// Before, if set, is called before anything else.
	Before func()
	// Pass lets the request go on as if nothing were; Before is all that happens.
	Pass bool
	// Act carries the request out, and its answer is lost or replaced.
	Act bool
	// Status is answered with Body and RetryAfter; 0 breaks the connection instead.
	Status     int
	Body       string
	RetryAfter string

	held []request
}

// Inject makes f happen. The faults are tried in the order they came.
func (s *Server) Inject(f *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Times = max(f.Times, 1)
	s.faults = append(s.faults, f)
}

// Deliver carries out, now, the requests that f broke off without carrying them out: a
// proxy on the way had kept them. It answers their statuses.
func (s *Server) Deliver(f *Fault) []int {
	s.mu.Lock()
	held := f.held
	f.held = nil
	s.mu.Unlock()
	var statuses []int
	for _, q := range held {
		status, _ := s.answer(q)
		statuses = append(statuses, status)
	}
	return statuses
}

// Left answers how many requests f has still to hit.
func (s *Server) Left(f *Fault) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.Times
}

// fault picks the fault for a request; s.mu is held.
func (s *Server) fault(q request) *Fault {
	for _, f := range s.faults {
		if f.Times == 0 || f.Method != "" && f.Method != q.method || f.Token != "" && f.Token != q.token || !strings.Contains(q.path, f.Path) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		f.Times--
		return f
	}
	return nil
}

// fail does what f says; false when the request goes on as if nothing were.
func (s *Server) fail(w http.ResponseWriter, q request, f *Fault) bool {
	if f.Before != nil {
		f.Before()
	}
	if f.Pass {
		return false
	}
	if f.Act {
		s.answer(q)
	}
	if f.Status == 0 {
		if !f.Act {
			s.mu.Lock()
			f.held = append(f.held, q)
			s.mu.Unlock()
		}
		panic(http.ErrAbortHandler) // net/http breaks the connection
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
	return true
}
