package bottest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// PagerDutyConfig says what kind of service to start. The zero value is one service with one integration.
type PagerDutyConfig struct {
	// Listen is the address to listen on; by default a free port on loopback.
	Listen string
	// Limit is the rate limit of the integration; by default 120 events at once and 120 a minute.
	Limit *Limit
	// Now is the clock behind times and the rate limit; by default time.Now.
	Now func() time.Time
}

// PagerDuty is one service with an Events API v2 integration. Its fault operation is "enqueue".
type PagerDuty struct {
	server
	cfg        PagerDutyConfig
	limiter    limiter
	routingKey string

	state     sync.Mutex
	incidents []*Incident
	changed   chan struct{}
	problems  []string
}

// Status is where an incident stands.
type Status string

// The states of an incident.
const (
	Triggered    Status = "triggered"
	Acknowledged Status = "acknowledged"
	Resolved     Status = "resolved"
)

// Incident is what the events with one dedup key came to. After it is resolved, the next trigger with the same key
// opens a new one.
type Incident struct {
	DedupKey string
	Status   Status
	Summary  string // of the first trigger
	Source   string
	Severity string
	Details  json.RawMessage // custom_details of the latest trigger, nil without
	Links    []Link
	Triggers int // trigger events: 1 opened it, the others were merged into it
	Opened   time.Time
	Closed   time.Time // zero while it is open
}

// Link is a link shown with an incident.
type Link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// StartPagerDuty starts a service; Close ends it.
func StartPagerDuty(cfg PagerDutyConfig) (*PagerDuty, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Limit == nil {
		cfg.Limit = &Limit{Burst: 120, Every: 500 * time.Millisecond}
	}
	p := &PagerDuty{
		cfg: cfg, limiter: limiter{now: cfg.Now}, routingKey: random(16), changed: make(chan struct{}),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/enqueue", p.serveEnqueue)
	if err := p.start(cfg.Listen, mux); err != nil {
		return nil, fmt.Errorf("starting PagerDuty stand-in: %w", err)
	}
	return p, nil
}

// Close ends the service.
func (p *PagerDuty) Close() error { return p.shut() }

// URL is the base of the Events API, for pagerduty.WithV2EventsAPIEndpoint, which appends /v2/enqueue.
func (p *PagerDuty) URL() string { return p.url }

// RoutingKey is the integration key of the service.
func (p *PagerDuty) RoutingKey() string { return p.routingKey }

// Errors lists the events that were refused for what they said, in order.
func (p *PagerDuty) Errors() []string {
	p.state.Lock()
	defer p.state.Unlock()
	return slices.Clone(p.problems)
}

// Incidents returns every incident, oldest first.
func (p *PagerDuty) Incidents() []Incident {
	p.state.Lock()
	defer p.state.Unlock()
	out := make([]Incident, len(p.incidents))
	for i, x := range p.incidents {
		out[i] = *x
	}
	return out
}

// Incident returns the latest incident with this dedup key.
func (p *PagerDuty) Incident(dedupKey string) (Incident, bool) {
	for _, x := range slices.Backward(p.Incidents()) {
		if x.DedupKey == dedupKey {
			return x, true
		}
	}
	return Incident{}, false
}

// WaitIncident waits until an incident satisfies want as it is now, and returns it, or ends with the context's error.
func (p *PagerDuty) WaitIncident(ctx context.Context, want func(Incident) bool) (Incident, error) {
	for {
		p.state.Lock()
		changed := p.changed
		p.state.Unlock()
		all := p.Incidents()
		if i := slices.IndexFunc(all, want); i >= 0 {
			return all[i], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Incident{}, fmt.Errorf("waiting for an incident: %w", ctx.Err())
		}
	}
}

func (p *PagerDuty) serveEnqueue(w http.ResponseWriter, r *http.Request) {
	body, ok := p.receive(w, r)
	if !ok {
		return
	}
	p.faulty(w, r, "enqueue", pagerDutyStatus, func(w http.ResponseWriter) { p.enqueue(w, body) })
}

func (p *PagerDuty) enqueue(w http.ResponseWriter, body []byte) {
	if len(body) > maxEventBytes {
		p.refuse(w, http.StatusRequestEntityTooLarge, "Event object exceeds the size limit of 512 KB")
		return
	}
	e, problems := readEvent(body, p.routingKey)
	if len(problems) > 0 {
		p.refuse(w, http.StatusBadRequest, problems...)
		return
	}
	if wait, ok := p.limiter.take(e.RoutingKey, *p.cfg.Limit); !ok {
		retryAfterHeader(w, wait)
		pagerDutyStatus(w, http.StatusTooManyRequests)
		return
	}
	if e.DedupKey == "" {
		e.DedupKey = random(16)
	}
	p.apply(e)
	writeJSON(w, http.StatusAccepted, map[string]any{
		"status": "success", "message": "Event processed", "dedup_key": e.DedupKey,
	})
}

func (p *PagerDuty) refuse(w http.ResponseWriter, status int, problems ...string) {
	p.state.Lock()
	p.problems = append(p.problems, problems...)
	p.state.Unlock()
	writeJSON(w, status, map[string]any{
		"status": "invalid event", "message": "Event object is invalid", "errors": problems,
	})
}

// apply turns an accepted event into what it does to the incidents. An acknowledge or resolve for which nothing is
// open does nothing, and is accepted all the same.
func (p *PagerDuty) apply(e event) {
	p.state.Lock()
	defer p.state.Unlock()
	var open *Incident
	for _, x := range p.incidents {
		if x.DedupKey == e.DedupKey && x.Status != Resolved {
			open = x
		}
	}
	switch {
	case e.Action == "trigger" && open == nil:
		p.incidents = append(p.incidents, &Incident{
			DedupKey: e.DedupKey, Status: Triggered, Summary: e.Payload.Summary, Source: e.Payload.Source,
			Severity: e.Payload.Severity, Details: e.Payload.Details, Links: e.Links, Triggers: 1, Opened: p.cfg.Now(),
		})
	case open == nil:
	case e.Action == "trigger":
		open.Triggers++
		open.Details = e.Payload.Details
	case e.Action == "acknowledge":
		open.Status = Acknowledged
	case e.Action == "resolve":
		open.Status, open.Closed = Resolved, p.cfg.Now()
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// pagerDutyStatus answers with a status of the Events API: a JSON object, which the vendor's client needs to parse it.
func pagerDutyStatus(w http.ResponseWriter, status int) {
	body := map[string]any{"status": "error", "message": http.StatusText(status)}
	if status == http.StatusTooManyRequests {
		body = map[string]any{
			"status": "throttle exceeded", "message": "Requests for this service are arriving too quickly. Please retry later.",
		}
	}
	writeJSON(w, status, body)
}
