package sentry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"rekey/audit"
	"rekey/audit/sentry/api"
)

// gap says in a sentence why Sentry's evidence is missing and what to do.
func (c *Client) gap(err error) audit.Gap {
	var refused *api.Refusal
	var limited *api.TooLong
	why := "Sentry could not be reached; check its address and whether it is up."
	switch {
	case errors.As(err, &limited):
		why = fmt.Sprintf("Sentry's rate limit lasts another %s, longer than this audit may take; ask again then.", limited.Wait.Round(time.Second))
	case errors.Is(err, context.DeadlineExceeded):
		why = "Sentry did not answer in time; ask again, or look at its issues page."
	case errors.Is(err, context.Canceled):
		why = "The audit was stopped before Sentry had answered."
	case errors.Is(err, api.ErrNotAPI):
		why = "What answered is not Sentry's API; check the configured address."
	case errors.As(err, &refused):
		why = c.refusedBecause(refused.Status)
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
