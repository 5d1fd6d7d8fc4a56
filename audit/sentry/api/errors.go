package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Refusal is an answer other than a success.
type Refusal struct {
	Status int
	Wait   time.Duration // of a 429: how long Sentry asks to wait
}

func (r *Refusal) Error() string { return fmt.Sprintf("sentry answered %d", r.Status) }

// TooLong is a rate limit that lasts beyond the deadline, or longer than a minute.
// Nothing was done.
type TooLong struct{ Wait time.Duration }

func (t *TooLong) Error() string {
	return fmt.Sprintf("rate limited for another %s", t.Wait.Round(time.Second))
}

// ErrNotAPI is an answer that is not the API's JSON.
var ErrNotAPI = errors.New("the answer is not the API's JSON")

// Status answers the status of a Refusal, 0 for any other error.
func Status(err error) int {
	var refused *Refusal
	if errors.As(err, &refused) {
		return refused.Status
	}
	return 0
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
