package awstest

import (
	"net/http"
	"strings"
	"time"
)

// Kind is what goes wrong.
type Kind int

// The kinds of fault.
const (
	Nothing      Kind = iota // only Before is called
	DropRequest              // the connection breaks before the call acts
	DropAnswer               // the call acts, and the connection breaks before its answer
	ServerError              // 500 InternalServiceError, without acting
	Throttle                 // 400 ThrottlingException, without acting
	AccessDenied             // 400 AccessDeniedException, without acting
	Garbage                  // 200 with a body that is no JSON, without acting
)

// Fault is something that goes wrong with calls that match.
type Fault struct {
	Kind      Kind
	Operation string // "" for any
	Stage     string // beginning of VersionStage; "" for any
	Skip      int    // calls that pass first
	Times     int    // how often it strikes; 0 means once
	Before    func() // called when it strikes, before anything else, without locks
}

// Inject adds a fault. Of several that match, the first one strikes.
func (s *Server) Inject(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault finds the fault that strikes a call.
func (s *Server) fault(operation string, in input) *Fault {
	for _, f := range s.faults {
		if f.Times == 0 || f.Operation != "" && f.Operation != operation || !strings.HasPrefix(in.VersionStage, f.Stage) {
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

func (f *Fault) strike(w http.ResponseWriter) {
	switch f.Kind {
	case ServerError:
		answer(w, nil, &refusal{http.StatusInternalServerError, "InternalServiceError", "An error occurred on the server side."})
	case Throttle:
		answer(w, nil, refuse("ThrottlingException", "Rate exceeded"))
	case AccessDenied:
		answer(w, nil, refuse("AccessDeniedException", "User: arn:aws:iam::123456789012:user/rekey is not authorized"))
	case Garbage:
		_, _ = w.Write([]byte("<html>a proxy's own page</html>"))
	default:
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.SetDeadline(time.Now())
			_ = c.Close()
		}
	}
}
