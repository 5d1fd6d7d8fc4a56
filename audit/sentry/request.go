package sentry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rekey/audit"
)

// refusal is an answer other than 200.
type refusal struct {
	status int
	wait   time.Duration // of a 429: how long Sentry asks to wait
}

func (r *refusal) Error() string { return fmt.Sprintf("sentry answered %d", r.status) }

// tooLong is a rate limit that lasts beyond the deadline.
type tooLong struct{ wait time.Duration }

func (t *tooLong) Error() string {
	return fmt.Sprintf("rate limited for another %s", t.wait.Round(time.Second))
}

// errNotAPI is an answer that is not the API's JSON.
var errNotAPI = errors.New("the answer is not the API's JSON")

const (
	maxBody   = 16 << 20 // bytes of an answer; a page of 100 issues has under 1 MB
	maxTries  = 4        // of one request
	maxWait   = time.Minute
	firstWait = 250 * time.Millisecond // before a failed request is tried again
)

// get fetches u as JSON. A 429 is waited out as long as the deadline allows; a 5xx
// and a broken connection are tried again; everything else is final.
func (c *Client) get(ctx context.Context, u *url.URL, into any) (http.Header, error) {
	pause := firstWait
	for try := 1; ; try++ {
		header, err := c.once(ctx, u, into)
		if err == nil {
			return header, nil
		}
		var refused *refusal
		wait := pause
		switch {
		case ctx.Err() != nil || errors.Is(err, errNotAPI):
			return nil, err
		case errors.As(err, &refused) && refused.status == http.StatusTooManyRequests:
			wait = refused.wait
			if deadline, ok := ctx.Deadline(); wait > maxWait || ok && time.Until(deadline) < wait {
				return nil, &tooLong{wait: wait}
			}
		case errors.As(err, &refused) && refused.status < 500:
			return nil, err
		}
		if try == maxTries {
			return nil, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		pause *= 2
	}
}

func (c *Client) once(ctx context.Context, u *url.URL, into any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("asking sentry: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Token())
	req.Header.Set("Accept", "application/json")
	resp, err := c.cfg.HTTPClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking sentry: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // keeps the connection
		return nil, &refusal{status: resp.StatusCode, wait: c.waitFor(resp.Header)}
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(into); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, errNotAPI // the decoder's text may quote the answer
	}
	return resp.Header, nil
}

// waitFor is how long a rate-limited answer asks to wait: Retry-After in seconds or
// as a date, else X-Sentry-Rate-Limit-Reset in seconds since 1970, else a second.
func (c *Client) waitFor(header http.Header) time.Duration {
	if value := header.Get("Retry-After"); value != "" {
		if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 {
			return time.Duration(min(seconds, 1e6) * float64(time.Second))
		}
		if at, err := http.ParseTime(value); err == nil {
			return max(0, at.Sub(c.cfg.Now()))
		}
	}
	if reset, err := strconv.ParseInt(header.Get("X-Sentry-Rate-Limit-Reset"), 10, 64); err == nil {
		return max(0, time.Unix(reset, 0).Sub(c.cfg.Now()))
	}
	return time.Second
}

// gap says in a sentence why Sentry's evidence is missing and what to do.
func (c *Client) gap(err error) audit.Gap {
	var refused *refusal
	var limited *tooLong
	why := "Sentry could not be reached; check its address and whether it is up."
	switch {
	case errors.As(err, &limited):
		why = fmt.Sprintf("Sentry's rate limit lasts another %s, longer than this audit may take; ask again then.", limited.wait.Round(time.Second))
	case errors.Is(err, context.DeadlineExceeded):
		why = "Sentry did not answer in time; ask again, or look at its issues page."
	case errors.Is(err, context.Canceled):
		why = "The audit was stopped before Sentry had answered."
	case errors.Is(err, errNotAPI):
		why = "What answered is not Sentry's API; check the configured address."
	case errors.As(err, &refused):
		why = c.refusedBecause(refused.status)
	}
	return audit.Gap{Source: Source, Why: why}
}

func (c *Client) refusedBecause(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "Sentry refused the token (401); it may be wrong, expired or revoked."
	case status == http.StatusForbidden:
		return "The token may not read issues (403); it needs the scopes event:read and project:read."
	case status == http.StatusNotFound:
		return fmt.Sprintf("Sentry knows no organization %q with a project %q that the token may see (404).", c.cfg.Organization, c.cfg.Project)
	case status == http.StatusBadRequest:
		return fmt.Sprintf("Sentry did not understand the question (400); if project %q is a slug, the token needs project:read to find its number.", c.cfg.Project)
	case status == http.StatusTooManyRequests:
		return "Sentry went on limiting the rate (429); ask again in a minute."
	case status >= 300 && status < 400:
		return fmt.Sprintf("Sentry's address answers with a redirection (%d); configure the address it leads to.", status)
	case status >= 500:
		return fmt.Sprintf("Sentry is failing (%d); ask again, or look at its issues page.", status)
	}
	return fmt.Sprintf("Sentry answered %d, which rekey does not know.", status)
}
