package bottest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty"
	"github.com/google/go-cmp/cmp"

	"rekey/bot/bottest"
)

func startPagerDuty(t *testing.T, cfg bottest.PagerDutyConfig) (*bottest.PagerDuty, *pagerduty.Client) {
	t.Helper()
	p, err := bottest.StartPagerDuty(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	client := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(p.URL()))
	client.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return p, client
}

func trigger(p *bottest.PagerDuty, key string) *pagerduty.V2Event {
	return &pagerduty.V2Event{
		RoutingKey: p.RoutingKey(), Action: "trigger", DedupKey: key, Client: "rekey",
		Links: []any{map[string]string{"href": "https://example.com/run/1", "text": "The run"}},
		Payload: &pagerduty.V2Payload{
			Summary: "REVALIDATE_SECRET compromised", Source: "rekey", Severity: "critical",
			Timestamp: time.Now().UTC().Format(time.RFC3339), Details: map[string]any{"run": "r1"},
		},
	}
}

func TestEventsOpenMergeAndResolveAnIncident(t *testing.T) {
	t.Parallel()
	p, client := startPagerDuty(t, bottest.PagerDutyConfig{})
	ctx := deadline(t)
	send := func(e *pagerduty.V2Event) *pagerduty.V2EventResponse {
		t.Helper()
		answer, err := client.ManageEventWithContext(ctx, e)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	answer := send(trigger(p, "run/1"))
	want := &pagerduty.V2EventResponse{Status: "success", Message: "Event processed", DedupKey: "run/1"}
	if diff := cmp.Diff(want, answer); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	send(trigger(p, "run/1"))
	resolve := &pagerduty.V2Event{RoutingKey: p.RoutingKey(), Action: "resolve", DedupKey: "run/1"}
	send(&pagerduty.V2Event{RoutingKey: p.RoutingKey(), Action: "acknowledge", DedupKey: "run/1"})
	send(resolve)
	send(resolve) // nothing open: accepted, and nothing happens
	i := p.ExpectIncident(t, bottest.Resolved, "REVALIDATE_SECRET")
	if i.Triggers != 2 || i.Severity != "critical" || string(i.Details) != `{"run":"r1"}` || i.Closed.IsZero() ||
		len(i.Links) != 1 || i.Links[0].Text != "The run" {
		t.Errorf("incident = %+v", i)
	}
	send(trigger(p, "run/1"))
	if again, _ := p.Incident("run/1"); again.Status != bottest.Triggered || len(p.Incidents()) != 2 {
		t.Errorf("a trigger after the resolve must open a new incident: %+v", p.Incidents())
	}
	if send(trigger(p, "")).DedupKey == "" {
		t.Error("no dedup key was made up for an event without one")
	}
}

func TestEventsThatPagerDutyWouldRefuseAreRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(e *pagerduty.V2Event)
		status int
		want   string
	}{
		"no routing key":      {func(e *pagerduty.V2Event) { e.RoutingKey = "" }, 400, "'routing_key' is missing or blank"},
		"short routing key":   {func(e *pagerduty.V2Event) { e.RoutingKey = "abc" }, 400, "Length of 'routing_key' is incorrect"},
		"unknown routing key": {func(e *pagerduty.V2Event) { e.RoutingKey = strings.Repeat("a", 32) }, 400, "Invalid routing key"},
		"no action":           {func(e *pagerduty.V2Event) { e.Action = "" }, 400, "'event_action' is missing or blank"},
		"unknown action":      {func(e *pagerduty.V2Event) { e.Action = "page" }, 400, "'event_action' is invalid"},
		"long dedup key":      {func(e *pagerduty.V2Event) { e.DedupKey = strings.Repeat("k", 256) }, 400, "Length of 'dedup_key'"},
		"resolve without key": {func(e *pagerduty.V2Event) { e.Action, e.DedupKey = "resolve", "" }, 400, "'dedup_key' is missing or blank"},
		"no payload":          {func(e *pagerduty.V2Event) { e.Payload = nil }, 400, "'payload' is missing or blank"},
		"no summary":          {func(e *pagerduty.V2Event) { e.Payload.Summary = "" }, 400, "'payload.summary' is missing or blank"},
		"long summary":        {func(e *pagerduty.V2Event) { e.Payload.Summary = strings.Repeat("é", 1025) }, 400, "Length of 'payload.summary'"},
		"no source":           {func(e *pagerduty.V2Event) { e.Payload.Source = "" }, 400, "'payload.source' is missing or blank"},
		"no severity":         {func(e *pagerduty.V2Event) { e.Payload.Severity = "" }, 400, "'payload.severity' is missing or blank"},
		"unknown severity":    {func(e *pagerduty.V2Event) { e.Payload.Severity = "high" }, 400, "'payload.severity' is invalid"},
		"local time":          {func(e *pagerduty.V2Event) { e.Payload.Timestamp = "22/Nov/2026 19:35:18" }, 400, "'payload.timestamp' is invalid"},
		"details not object":  {func(e *pagerduty.V2Event) { e.Payload.Details = "words" }, 400, "'payload.custom_details' is invalid"},
		"link without href":   {func(e *pagerduty.V2Event) { e.Links = []any{map[string]string{"text": "x"}} }, 400, "'links' is invalid"},
		"over 512 KB":         {func(e *pagerduty.V2Event) { e.Payload.Details = map[string]string{"x": strings.Repeat("x", 512_000)} }, 413, "512 KB"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, client := startPagerDuty(t, bottest.PagerDutyConfig{})
			e := trigger(p, "run/1")
			tt.change(e)
			// The vendor's client keeps the list of errors to itself, so the answer is asked for raw as well.
			body, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			status, answer := post(t, p.URL()+"/v2/enqueue", "application/json", "", body)
			if status != tt.status || !strings.Contains(fmt.Sprint(answer["errors"]), tt.want) || answer["status"] != "invalid event" {
				t.Errorf("%d %v, want %d with %q", status, answer, tt.status, tt.want)
			}
			if _, err := client.ManageEventWithContext(deadline(t), e); err == nil {
				t.Error("the vendor's client took the refusal for a success")
			}
			if len(p.Incidents()) != 0 || len(p.Errors()) != 2 {
				t.Errorf("incidents %+v, errors %q", p.Incidents(), p.Errors())
			}
		})
	}
}

func TestPagerDutyMisbehavesOnRequest(t *testing.T) {
	t.Parallel()
	p, client := startPagerDuty(t, bottest.PagerDutyConfig{Limit: &bottest.Limit{Burst: 2, Every: time.Hour}})
	ctx := deadline(t)
	send := func(ctx context.Context) error {
		_, err := client.ManageEventWithContext(ctx, trigger(p, "run/1"))
		return err
	}
	status := func(err error) int {
		var api pagerduty.APIError
		if !errors.As(err, &api) {
			t.Errorf("not the vendor's error: %v", err)
		}
		return api.StatusCode
	}
	p.Fail(http.StatusInternalServerError, 1)
	if got := status(send(ctx)); got != 500 {
		t.Errorf("Fail: %d", got)
	}
	p.On("enqueue").RateLimit(1, time.Second)
	if got := status(send(ctx)); got != 429 {
		t.Errorf("RateLimit: %d", got)
	}
	p.Down(true)
	if send(ctx) == nil {
		t.Error("Down: no error")
	}
	p.Down(false)
	if len(p.Incidents()) != 0 {
		t.Fatalf("an event that failed was processed: %+v", p.Incidents())
	}
	p.LoseResponse(1)
	if send(ctx) == nil {
		t.Error("LoseResponse: the client saw an answer")
	}
	if err := send(ctx); err != nil {
		t.Errorf("healthy: %v", err)
	}
	if i, _ := p.Incident("run/1"); i.Triggers != 2 {
		t.Errorf("the lost answer's event must have been processed: %+v", i)
	}
	if got := status(send(ctx)); got != 429 {
		t.Errorf("past the service's own limit: %d", got)
	}
	if len(p.Traffic()) == 0 || len(p.Errors()) != 0 {
		t.Errorf("traffic %d, errors %q", len(p.Traffic()), p.Errors())
	}
}
