package sentrykey

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// event is a test event that counts as a use of a key.
type event struct{ at time.Time }

const (
	firstPoll = 300 * time.Millisecond // Sentry allows five look-ups of an event a second
	lastPoll  = 5 * time.Second
	// unlikely is how long an event is waited for whose key the API says is off.
	unlikely = 3 * time.Second
)

// Test sends a test event with the SDK and waits until the API shows it. Ingestion's
// 401 and 403 are a refusal. Where ingestion and the API disagree about a key, which
// they do for some minutes after it was changed, it is tried again until Arrival has
// passed; then what ingestion did is the answer.
func (i *Issuer) Test(ctx context.Context, o issue.Order, v secret.Value) verify.Try {
	dsn, err := parse(v)
	if err != nil {
		return verify.Try{Answer: verify.Refused, Why: "it is not a Sentry DSN"}
	}
	d, err := i.open(o)
	if err != nil {
		return verify.Try{Why: why(err)}
	}
	until := time.Now().Add(i.cfg.Arrival)
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		k, err := d.look(ctx, dsn.GetPublicKey())
		valid := err == nil && k != nil && k.Active
		said, sendErr := i.send(ctx, v, o.Run)
		if sendErr != nil {
			return verify.Try{Why: why(sendErr)}
		}
		var try verify.Try
		agreed := err != nil // nobody to disagree with
		switch said.status {
		case http.StatusOK:
			patience := time.Until(until)
			if err == nil && !valid {
				patience = min(patience, unlikely)
			}
			try = i.arrived(ctx, d, said.id, patience)
			if try.Answer == verify.Accepted {
				i.note(dsn.GetPublicKey())
			} else if err == nil && !valid {
				try.Why = "its client key is off or deleted, and ingestion has not noticed yet"
			}
			agreed = agreed || valid
		case http.StatusUnauthorized, http.StatusForbidden:
			try = verify.Try{Answer: verify.Refused, Why: fmt.Sprintf("Sentry's ingestion turned it away (%d)", said.status)}
			agreed = agreed || !valid
		default:
			try, agreed = verify.Try{Why: because(said)}, true
		}
		if agreed || time.Until(until) <= pause {
			return try
		}
		if err := sleep(ctx, pause); err != nil {
			return verify.Try{Why: why(err)}
		}
	}
}

// arrived looks for an event until it is there.
func (i *Issuer) arrived(ctx context.Context, d *desk, id string, patience time.Duration) verify.Try {
	until := time.Now().Add(patience)
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		var seen struct {
			ID string `json:"eventID"`
		}
		_, err := d.reads(ctx, "read an event", &seen, nil, "events", id)
		switch {
		case err == nil && seen.ID != id:
			return verify.Try{Why: "ingestion took the test event, but what answers for it is not Sentry's API"}
		case err == nil:
			return verify.Try{Answer: verify.Accepted}
		case status(err) != http.StatusNotFound:
			return verify.Try{Why: "ingestion took the test event, but it could not be looked up: " + why(err)}
		}
		if left := time.Until(until); left <= 0 {
			return verify.Try{Why: fmt.Sprintf("ingestion took the test event, but it did not arrive within %s", patience.Round(time.Second))}
		}
		if err := sleep(ctx, pause); err != nil {
			return verify.Try{Why: why(err)}
		}
	}
}

// because says why ingestion's answer tells nothing of the key.
func because(s sending) string {
	switch {
	case s.status == http.StatusTooManyRequests && s.wait > 0:
		return fmt.Sprintf("Sentry takes no events for another %s: a quota or rate limit is used up (429)", s.wait)
	case s.status == http.StatusTooManyRequests:
		return "Sentry takes no events: a quota or rate limit is used up (429)"
	case s.status != 0:
		return fmt.Sprintf("Sentry's ingestion answered %d", s.status)
	case s.err == nil:
		return "the SDK did not send the test event"
	}
	return "Sentry's ingestion could not be reached"
}

// why puts an error into the middle of a sentence.
func why(err error) string {
	if strings.Contains(err.Error(), context.Canceled.Error()) {
		return "the test was stopped"
	}
	return strings.TrimSuffix(err.Error(), ".")
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
