package loki

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
)

// refusal is an answer other than a success. Loki tells its limits apart by text alone.
type refusal struct {
	status int
	wait   time.Duration // of a 429: how long Loki asks to wait
	text   string        // what Loki said, cleaned
}

func (r *refusal) Error() string { return fmt.Sprintf("loki answered %d", r.status) }

// kind is a class of refusals: what their texts hold.
type kind []string

var (
	tooManyEntries = kind{"max entries limit"}
	tooOld         = kind{"no longer available"}
	noTenant       = kind{"no org id"}
	notUnderstood  = kind{"parse error", "failed to parse"}
	noLabels       = kind{"missing required matchers", "less label matchers than required"}
	// tooMuch may be answered if it is asked for in smaller pieces.
	tooMuch = kind{
		"time range exceeds the limit", "too many bytes", "query too large", "max number of chunks",
		"larger than the max message size", "larger than max", "request timed out", "context deadline exceeded",
	}
)

func (r *refusal) is(k kind) bool {
	for _, words := range k {
		if strings.Contains(r.text, words) {
			return true
		}
	}
	return false
}

var entriesAllowed = regexp.MustCompile(`\(\d+ > (\d+)\)`)

// entries is how many lines Loki allows a page, as far as it says so; else half of what
// was asked for.
func (r *refusal) entries(asked int) int {
	if m := entriesAllowed.FindStringSubmatch(r.text); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 && n < asked {
			return n
		}
	}
	return asked / 2
}

func refusedWith(resp *http.Response, now time.Time) *refusal {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // what was read until then will do
	r := &refusal{status: resp.StatusCode, text: audit.Clean(string(text), 300)}
	if value := resp.Header.Get("Retry-After"); value != "" {
		if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 {
			r.wait = time.Duration(min(seconds, 1e6) * float64(time.Second))
		} else if at, err := http.ParseTime(value); err == nil {
			r.wait = max(0, at.Sub(now))
		}
	}
	return r
}

// explain makes an error a sentence that says what to do. reached is the time of the last
// line that was read, zero for none.
func (s *Source) explain(err error, reached time.Time) error {
	if ok, said := logs.Ended("Loki", err, reached); ok {
		return said
	}
	var refused *refusal
	why := "Loki could not be reached; check its address and whether it is up."
	switch {
	case errors.Is(err, errToken):
		why = "The token for Loki could not be read; check the variable or file that the catalogue names."
	case errors.Is(err, errNotLoki):
		why = "What answered is not Loki's API; check the configured address."
	case errors.As(err, &refused):
		why = s.refusedBecause(refused)
	}
	return &logs.Fault{Why: why} // what Loki said is in the sentence, or is not for showing
}

func (s *Source) refusedBecause(r *refusal) string {
	switch {
	case r.is(noTenant):
		return "Loki keeps several tenants apart and was asked for none; add tenant to this log in the catalogue."
	case r.status == http.StatusUnauthorized && s.cfg.Token == nil:
		return "Loki wants to know who asks (401); add a token to this log in the catalogue."
	case r.status == http.StatusUnauthorized:
		return "Loki refused the token (401); it may be wrong, expired or revoked, or want a user beside it."
	case r.status == http.StatusForbidden:
		return "The token may not read logs here (403); it needs the scope logs:read, and the tenant must be right."
	case r.status == http.StatusNotFound:
		return "Loki's API is not at the configured address (404); write the address without /loki/api."
	case r.is(notUnderstood):
		return "Loki did not understand the selector " + s.cfg.Selector + "; check it in the catalogue."
	case r.is(noLabels):
		return "Loki wants more labels than the selector " + s.cfg.Selector + " names (" + r.text + ")."
	case r.is(tooMuch):
		return "Loki refuses even a minute of these logs as too much; narrow the selector " + s.cfg.Selector + "."
	case r.is(tooOld):
		return "Loki no longer has these logs: the window lies before what it lets be asked for (max_query_lookback)."
	case r.status == http.StatusTooManyRequests:
		return "Loki went on limiting the rate (429); ask again in a minute."
	case r.status >= 300 && r.status < 400:
		return fmt.Sprintf("Loki's address answers with a redirection (%d); configure the address it leads to.", r.status)
	case r.status >= 500:
		return fmt.Sprintf("Loki is failing (%d); ask again, or look into its own logs.", r.status)
	}
	return fmt.Sprintf("Loki refused the question (%d): %s", r.status, r.text)
}
