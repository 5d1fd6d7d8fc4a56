package sentrykey

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	sentrygo "github.com/getsentry/sentry-go"

	"rekey/audit/sentry"
	"rekey/commands/secret"
)

// sendTimeout bounds the sending of one test event.
const sendTimeout = 20 * time.Second

// sending is what ingestion said to one event. Status is 0 when nothing answered.
type sending struct {
	id     string
	status int
	wait   time.Duration // of a 429
	err    error
}

// send posts one test event as an application would, through Sentry's own SDK.
func (i *Issuer) send(ctx context.Context, v secret.Value, run string) (sending, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	wire := &ingest{ctx: ctx, next: i.client.Transport}
	client, err := sentrygo.NewClient(sentrygo.ClientOptions{
		Dsn:         v.Reveal(),
		HTTPClient:  &http.Client{Transport: wire, CheckRedirect: i.client.CheckRedirect},
		Transport:   sentrygo.NewHTTPSyncTransport(),
		ServerName:  "rekey",
		Release:     "rekey",
		Environment: "rekey",
		// This machine is nobody's business.
		Integrations:         func([]sentrygo.Integration) []sentrygo.Integration { return nil },
		DisableClientReports: true,
	})
	if err != nil {
		return sending{}, errNoDSN // its text quotes the value
	}
	defer client.Close()
	hub := sentrygo.NewHub(client, sentrygo.NewScope())
	e := sentrygo.NewEvent()
	e.Message, e.Level, e.Logger = sentry.OwnTitle, sentrygo.LevelInfo, "rekey"
	e.Fingerprint = []string{sentry.OwnTitle} // all of them are one issue
	e.Tags = map[string]string{"rekey.run": run}
	id := hub.CaptureEvent(e)
	client.Flush(sendTimeout)
	if id == nil {
		return sending{}, errors.New("the SDK did not take the event")
	}
	wire.said.id = string(*id)
	return wire.said, nil
}

// ingest carries the SDK's request under ctx and keeps the answer, which the SDK does
// not tell.
type ingest struct {
	ctx  context.Context //nolint:containedctx // the SDK's transport sends under none
	next http.RoundTripper
	said sending
}

func (t *ingest) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r.WithContext(t.ctx))
	if err != nil {
		t.said = sending{err: err}
		return nil, err
	}
	t.said = sending{status: resp.StatusCode}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds >= 0 {
		t.said.wait = time.Duration(min(seconds, 86400)) * time.Second
	}
	return resp, nil
}
