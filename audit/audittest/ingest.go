package audittest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Lag lets ingestion judge the next n envelopes by the keys as they are now, whatever
// becomes of them: real ingestion caches keys for some minutes. What it takes for a key
// that is gone by then is dropped, as there.
func (s *Sentry) Lag(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lagging, s.cached = n, map[string]bool{}
	for _, k := range s.keys {
		s.cached[k.Public] = k.Active
	}
}

// LimitIngestion answers the next n envelopes with 429, as a used-up quota does.
func (s *Sentry) LimitIngestion(n int, retry time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full, s.fullFor = n, retry
}

// takeEnvelope is Relay's ingest endpoint. The key comes in X-Sentry-Auth; the body is
// JSON lines, of which the first, the header, must be an object. A header may name a
// DSN too, which must then be a DSN, and of that key.
func (s *Sentry) takeEnvelope(w http.ResponseWriter, r *http.Request) {
	fields, ok := authFields(r.Header.Get("X-Sentry-Auth"))
	switch {
	case !ok:
		detail(w, http.StatusUnauthorized, "missing authorization information")
		return
	case fields["sentry_version"] != "7":
		detail(w, http.StatusBadRequest, "unsupported protocol version")
		return
	case !hex32.MatchString(fields["sentry_key"]):
		detail(w, http.StatusBadRequest, "bad sentry DSN public key")
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		detail(w, http.StatusBadRequest, "invalid request body")
		return
	}
	sent, err := parseEnvelope(body, fields["sentry_key"])
	if err != nil {
		detail(w, http.StatusBadRequest, "invalid event envelope")
		return
	}
	taken, limited, wait := s.judge(fields["sentry_key"], r.PathValue("project"))
	switch {
	case limited:
		seconds := strconv.Itoa(int(wait / time.Second))
		w.Header().Set("Retry-After", seconds)
		w.Header().Set("X-Sentry-Rate-Limits", seconds+":error;default:organization:quota")
		detail(w, http.StatusTooManyRequests, "Sentry dropped data due to a quota or internal rate limit being reached.")
		return
	case !taken:
		detail(w, http.StatusForbidden, "event submission rejected with_reason: ProjectId")
		return
	}
	s.store(sent, Envelope{ProjectID: r.PathValue("project"), Key: fields["sentry_key"], Body: body})
	answer(w, map[string]string{"id": sent.id})
}

func authFields(header string) (map[string]string, bool) {
	rest, ok := strings.CutPrefix(header, "Sentry ")
	fields := map[string]string{}
	for _, part := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	return fields, ok && fields["sentry_key"] != ""
}

// judge says whether ingestion takes an envelope with this key.
func (s *Sentry) judge(public, project string) (taken, limited bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full > 0 {
		s.full--
		return false, true, s.fullFor
	}
	active := map[string]bool{}
	if s.lagging > 0 {
		s.lagging--
		maps.Copy(active, s.cached)
	} else if k := s.find(public); k != nil {
		active[public] = k.Active
	}
	return active[public] && project == s.ProjectID, false, 0
}

// store keeps an envelope and what it holds.
func (s *Sentry) store(sent sentEnvelope, e Envelope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.envelopes = append(s.envelopes, e)
	if s.find(e.Key) == nil {
		return // taken from a cache; what reads the queue knows better
	}
	for _, ev := range sent.events {
		s.count(e.Key, 1, time.Now())
		s.events = append(s.events, event{id: ev.id(sent.id), title: ev.title(), hidden: s.delay})
		s.group(ev)
	}
}

// sentEnvelope is what an envelope says.
type sentEnvelope struct {
	id     string
	events []sentEvent
}

var errEnvelope = errors.New("invalid envelope")

// parseEnvelope reads the header, then items: a header line and a payload, whose length
// the header may name.
func parseEnvelope(body []byte, key string) (sentEnvelope, error) {
	head, rest, _ := bytes.Cut(body, []byte("\n"))
	var header struct {
		EventID string  `json:"event_id"`
		DSN     *string `json:"dsn"`
	}
	if err := json.Unmarshal(head, &header); err != nil {
		return sentEnvelope{}, fmt.Errorf("%w: %w", errEnvelope, err)
	}
	if header.DSN != nil {
		dsn, err := url.Parse(*header.DSN)
		if err != nil || dsn.Host == "" || dsn.User.Username() != key {
			return sentEnvelope{}, fmt.Errorf("%w: another DSN", errEnvelope)
		}
	}
	sent := sentEnvelope{id: header.EventID}
	for len(bytes.TrimSpace(rest)) > 0 {
		var line, payload []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		var item struct {
			Type   string `json:"type"`
			Length *int   `json:"length"`
		}
		if err := json.Unmarshal(line, &item); err != nil {
			return sentEnvelope{}, fmt.Errorf("%w: %w", errEnvelope, err)
		}
		if item.Length == nil {
			payload, rest, _ = bytes.Cut(rest, []byte("\n"))
		} else {
			if *item.Length < 0 || *item.Length > len(rest) {
				return sentEnvelope{}, fmt.Errorf("%w: an item's length", errEnvelope)
			}
			payload, rest = rest[:*item.Length], bytes.TrimPrefix(rest[*item.Length:], []byte("\n"))
		}
		if item.Type != "event" {
			continue
		}
		var ev sentEvent
		if err := json.Unmarshal(payload, &ev); err != nil {
			return sentEnvelope{}, fmt.Errorf("%w: %w", errEnvelope, err)
		}
		sent.events = append(sent.events, ev)
	}
	return sent, nil
}
