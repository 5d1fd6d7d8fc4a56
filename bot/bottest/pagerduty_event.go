package bottest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// Limits of the Events API v2 (developer.pagerduty.com, "Send an alert event"). 512 KB is read as 512,000 bytes, the
// smaller of its two meanings. The published schema names no status for it; 413 is what HTTP has for it.
const (
	maxEventBytes = 512_000
	maxSummary    = 1024
	maxDedupKey   = 255
	keyLength     = 32
)

type event struct {
	RoutingKey string        `json:"routing_key"`
	Action     string        `json:"event_action"`
	DedupKey   string        `json:"dedup_key"`
	Client     string        `json:"client"`
	ClientURL  string        `json:"client_url"`
	Payload    *eventPayload `json:"payload"`
	Links      []Link        `json:"links"`
	Images     []image       `json:"images"`
}

type eventPayload struct {
	Summary   string          `json:"summary"`
	Source    string          `json:"source"`
	Severity  string          `json:"severity"`
	Timestamp string          `json:"timestamp"`
	Component string          `json:"component"`
	Group     string          `json:"group"`
	Class     string          `json:"class"`
	Details   json.RawMessage `json:"custom_details"`
}

type image struct {
	Src  string `json:"src"`
	Href string `json:"href"`
	Alt  string `json:"alt"`
}

// timestamps are the ISO 8601 forms the documentation shows.
var timestamps = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999-0700"}

// readEvent parses an event and lists everything wrong with it, in the API's own words.
func readEvent(body []byte, routingKey string) (event, []string) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return e, []string{"Event object is not valid JSON of the expected types"}
	}
	var wrong []string
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	switch {
	case e.RoutingKey == "":
		fail("'routing_key' is missing or blank")
	case len(e.RoutingKey) != keyLength:
		fail("Length of 'routing_key' is incorrect (should be 32 characters)")
	case e.RoutingKey != routingKey:
		fail("Invalid routing key")
	}
	switch e.Action {
	case "trigger":
	case "acknowledge", "resolve":
		if e.DedupKey == "" {
			fail("'dedup_key' is missing or blank")
		}
	case "":
		fail("'event_action' is missing or blank")
	default:
		fail("'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')")
	}
	if utf8.RuneCountInString(e.DedupKey) > maxDedupKey {
		fail("Length of 'dedup_key' is incorrect (should be at most %d characters)", maxDedupKey)
	}
	if e.Action == "trigger" {
		wrong = append(wrong, e.Payload.problems()...)
	}
	for _, l := range e.Links {
		if !isWebAddress(l.Href) {
			fail("'links' is invalid (each link needs an 'href' that is a URL)")
		}
	}
	for _, i := range e.Images {
		if !isWebAddress(i.Src) {
			fail("'images' is invalid (each image needs a 'src' that is a URL)")
		}
	}
	return e, wrong
}

func (p *eventPayload) problems() []string {
	if p == nil {
		return []string{"'payload' is missing or blank"}
	}
	var wrong []string
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if p.Summary == "" {
		fail("'payload.summary' is missing or blank")
	}
	if utf8.RuneCountInString(p.Summary) > maxSummary {
		fail("Length of 'payload.summary' is incorrect (should be at most %d characters)", maxSummary)
	}
	if p.Source == "" {
		fail("'payload.source' is missing or blank")
	}
	switch {
	case p.Severity == "":
		fail("'payload.severity' is missing or blank")
	case !slices.Contains([]string{"critical", "error", "warning", "info"}, p.Severity):
		fail("'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
	}
	if p.Timestamp != "" && !slices.ContainsFunc(timestamps, func(layout string) bool {
		_, err := time.Parse(layout, p.Timestamp)
		return err == nil
	}) {
		fail("'payload.timestamp' is invalid (must be ISO 8601)")
	}
	var details map[string]any
	if p.Details != nil && json.Unmarshal(p.Details, &details) != nil {
		fail("'payload.custom_details' is invalid (must be an object)")
	}
	return wrong
}
