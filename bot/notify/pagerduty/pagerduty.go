// Package pagerduty sends one event to PagerDuty's Events API v2, once per call.
// Retries belong to the job engine; every failure is a *Error that says whether it
// passes and when to come back. An event may be sent twice without harm: PagerDuty
// folds events of one dedup key together.
//
// Protocol: https://developer.pagerduty.com/docs/events-api-v2-overview
package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	api "github.com/PagerDuty/go-pagerduty"

	"rekey/commands/secret"
)

// Config is what a Client needs.
type Config struct {
	RoutingKey secret.Value // of the service's Events API v2 integration
	// URL is the API's base; "" means PagerDuty's own.
	URL string
	// HTTPClient carries the calls; the outbound guard sits in its transport.
	// Required.
	HTTPClient *http.Client
	// Timeout bounds one call; 0 means 10 s.
	Timeout time.Duration
}

// Client sends events. It is safe for concurrent use.
type Client struct{ cfg Config }

// New makes a Client.
func New(cfg Config) (*Client, error) {
	switch {
	case cfg.RoutingKey.IsZero():
		return nil, errors.New("notify/pagerduty: Config.RoutingKey is missing")
	case cfg.HTTPClient == nil:
		return nil, errors.New("notify/pagerduty: Config.HTTPClient is missing")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	return &Client{cfg: cfg}, nil
}

// Send delivers e; its routing key is added here, the one place it leaves from.
func (c *Client) Send(ctx context.Context, e api.V2Event) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	e.RoutingKey = c.cfg.RoutingKey.Reveal()
	// One API client per call, for it is how the answer's headers are had:
	// go-pagerduty drops Retry-After.
	h := &headers{next: c.cfg.HTTPClient}
	var opts []api.ClientOptions
	if c.cfg.URL != "" {
		opts = append(opts, api.WithV2EventsAPIEndpoint(c.cfg.URL))
	}
	client := api.NewClient("", opts...)
	client.HTTPClient = h
	if _, err := client.ManageEventWithContext(ctx, &e); err != nil {
		return classify(ctx, h)
	}
	return nil
}

// headers remembers what an answer's status line and headers said.
type headers struct {
	next   *http.Client
	status int
	retry  string
}

// Do implements api.HTTPClient.
func (h *headers) Do(r *http.Request) (*http.Response, error) {
	resp, err := h.next.Do(r)
	if err == nil {
		h.status, h.retry = resp.StatusCode, resp.Header.Get("Retry-After")
	}
	return resp, err
}

// Error is every failure of this package: a class, never the vendor's words.
type Error struct {
	Word string        // "rate limited", "unreachable", "event refused" …
	Wait time.Duration // how long PagerDuty asked to be left alone; 0 when it did not say
	Mend bool          // trying again is of no use until a person mends something
}

func (e *Error) Error() string { return "telling PagerDuty: " + e.Word }

// Class is the short word to record.
func (e *Error) Class() string { return e.Word }

// Lasting reports that a person has to mend something first.
func (e *Error) Lasting() bool { return e.Mend }

// Delay is the wait PagerDuty asked for, 0 when it did not.
func (e *Error) Delay() time.Duration { return e.Wait }

// classify goes by the answer's status: go-pagerduty's errors quote the body and,
// for a broken connection, keep nothing to match.
func classify(ctx context.Context, h *headers) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("telling PagerDuty: %w", context.Canceled)
	}
	switch {
	case h.status == http.StatusTooManyRequests:
		return &Error{Word: "rate limited", Wait: max(seconds(h.retry), 2*time.Second)}
	case h.status >= 500 || h.status == http.StatusRequestTimeout:
		return &Error{Word: fmt.Sprintf("HTTP %d", h.status), Wait: seconds(h.retry)}
	case h.status == http.StatusBadRequest:
		return &Error{Word: "event refused", Mend: true}
	case h.status >= 300:
		return &Error{Word: fmt.Sprintf("HTTP %d", h.status), Mend: true}
	case h.status != 0:
		return &Error{Word: "garbled answer"}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{Word: "timed out"}
	}
	return &Error{Word: "unreachable"}
}

func seconds(s string) time.Duration {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, time.Hour)
}
