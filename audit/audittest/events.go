package audittest

import (
	"cmp"
	"net/http"
	"strings"
	"time"
)

// sentEvent is the part of an event that Sentry's issues are made of.
type sentEvent struct {
	EventID     string   `json:"event_id"`
	Message     string   `json:"message"`
	Level       string   `json:"level"`
	Fingerprint []string `json:"fingerprint"`
	Exception   []struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	} `json:"exception"`
}

func (e sentEvent) id(envelope string) string {
	return strings.ReplaceAll(cmp.Or(e.EventID, envelope), "-", "")
}

func (e sentEvent) title() string {
	if n := len(e.Exception); n > 0 {
		last := e.Exception[n-1]
		return strings.TrimSuffix(last.Type+": "+last.Value, ": ")
	}
	return cmp.Or(e.Message, "<unlabeled event>")
}

// event is one that was taken, to be looked up.
type event struct {
	id, title string
	hidden    int // look-ups still to be answered 404
}

// DelayEvents lets events that arrive from now on be found by the n+1st look-up only:
// between ingestion and the API there is a queue.
func (s *Sentry) DelayEvents(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = n
}

// group adds an event to its issue, which it makes or opens again; the caller holds mu.
func (s *Sentry) group(e sentEvent) {
	by := e.title()
	if len(e.Fingerprint) > 0 && e.Fingerprint[0] != "{{ default }}" {
		by = strings.Join(e.Fingerprint, "\n")
	}
	now := time.Now()
	for i := range s.issues {
		if s.issues[i].group == by {
			s.issues[i].Count++
			s.issues[i].LastSeen, s.issues[i].Resolved = now, false
			return
		}
	}
	s.issues = append(s.issues, Issue{
		Title: e.title(), Level: cmp.Or(e.Level, "error"), Count: 1, FirstSeen: now, LastSeen: now, group: by,
	})
}

// showEvent answers GET /api/0/projects/ORG/PROJECT/events/ID/.
func (s *Sentry) showEvent(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.events {
		e := &s.events[i]
		if e.id != r.PathValue("event") {
			continue
		}
		if e.hidden > 0 {
			e.hidden--
			break
		}
		answer(w, map[string]any{"id": e.id, "eventID": e.id, "title": e.title, "projectID": s.ProjectID, "type": "default"})
		return
	}
	detail(w, http.StatusNotFound, "Event not found")
}
