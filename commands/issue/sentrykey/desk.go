package sentrykey

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"rekey/audit/sentry/api"
	"rekey/commands/issue"
	"rekey/commands/secret"
)

// callTimeout bounds the API calls of one step.
const callTimeout = 2 * time.Minute

// desk is one project of one Sentry, asked with the token as it is now.
type desk struct {
	api   *api.Client
	at    secret.Sentry
	token secret.Source
	still func(context.Context) error
}

// open reads the token anew, so that a rotated one is taken up.
func (i *Issuer) open(o issue.Order) (*desk, error) {
	at := o.Environment.Sentry
	if o.Place.Issuer.Sentry == nil || at.URL == "" || at.Organization == "" || at.Project == "" {
		return nil, issue.Faultf("The catalogue does not say which Sentry project gives out the key: the environment needs sentry (url, organization, project) and the secret an issuer with a token.")
	}
	source := o.Place.Issuer.Sentry.Token
	token, err := source.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the Sentry token: %w", err)
	}
	asks, err := api.New(api.Config{URL: at.URL, Token: token.Reveal, HTTPClient: i.client, Now: i.cfg.Now})
	if err != nil {
		return nil, &issue.Fault{Sentence: "Sentry's address in the catalogue must be like https://sentry.io, without a user.", Err: err}
	}
	d := &desk{api: asks, at: at, token: source, still: func(context.Context) error { return nil }}
	if o.Still != nil {
		d.still = o.Still
	}
	return d, nil
}

// path is below the project.
func (d *desk) path(parts ...string) []string {
	return append([]string{"projects", d.at.Organization, d.at.Project}, parts...)
}

// project names the project for people.
func (d *desk) project() string { return d.at.Organization + "/" + d.at.Project }

// reads makes a call that changes nothing.
func (d *desk) reads(ctx context.Context, doing string, into any, query url.Values, parts ...string) (http.Header, error) {
	header, err := d.api.Do(ctx, api.Call{Path: d.path(parts...), Query: query}, into)
	return header, d.explain(ctx, doing, err)
}

// changes makes a call that changes something, after asking whether the run is ours.
func (d *desk) changes(ctx context.Context, doing, method string, body, into any, parts ...string) error {
	if err := d.still(ctx); err != nil {
		return fmt.Errorf("before asking Sentry to %s: %w", doing, err)
	}
	_, err := d.api.Do(ctx, api.Call{Method: method, Path: d.path(parts...), Body: body}, into)
	return d.explain(ctx, doing, err)
}

// explain puts an error of the API into a sentence: a *issue.Fault where Sentry said
// no, a *issue.Wait where it said later, else an error that nothing is known from.
func (d *desk) explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("asking Sentry to %s: %w", doing, ctx.Err())
	}
	var limited *api.TooLong
	if errors.As(err, &limited) {
		return &issue.Wait{Sentence: fmt.Sprintf("Sentry's rate limit lasts another %s.", limited.Wait.Round(time.Second)), Again: limited.Wait}
	}
	fault := func(format string, args ...any) error {
		return &issue.Fault{Sentence: fmt.Sprintf(format, args...), Err: err}
	}
	switch status := api.Status(err); {
	case status == http.StatusTooManyRequests:
		return &issue.Wait{Sentence: "Sentry goes on limiting the rate (429).", Again: time.Minute}
	case status == http.StatusUnauthorized:
		return fault("Sentry refused the token in %s (401); it may be wrong, expired or revoked.", d.token)
	case status == http.StatusForbidden:
		return fault("The token in %s may not %s (403); it needs the scopes project:admin and event:read.", d.token, doing)
	case status == http.StatusNotFound:
		return fault("Sentry knows no project %s that the token in %s may see (404).", d.project(), d.token)
	case status >= 300 && status < 400:
		return fault("Sentry's address answers with a redirection (%d); configure the address it leads to.", status)
	case status >= 400 && status < 500:
		return fault("Sentry did not agree to %s (%d).", doing, status)
	case status >= 500:
		return fmt.Errorf("Sentry is failing (%d), asked to %s: %w", status, doing, err) //nolint:staticcheck // a name
	}
	return fmt.Errorf("asking Sentry to %s: %w", doing, err)
}
