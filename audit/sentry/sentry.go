// Package sentry asks Sentry which issues a project had in a window. It exists
// because the runbook says "visit the issues page": the answer belongs into the
// report, with what it says of the endpoints, the addresses and the signature in
// front, and with a plain sentence where it could not be had.
//
// Protocol: https://docs.sentry.io/api/events/list-an-organizations-issues/; package
// api speaks it. Only GET requests are made; a token with event:read and project:read is enough.
package sentry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/sentry/api"
)

// Config says what to ask and with which token.
type Config struct {
	URL          string // "https://sentry.io", or a self-hosted Sentry's address
	Organization string // slug or id
	Project      string // slug or id
	// Token answers the API token at the time of a request, so that the token itself
	// is held in one place only. "" means that there is none.
	Token func() string
	// HTTPClient defaults to one that follows no redirects: the API answers where it
	// is asked, and a token must not travel on.
	HTTPClient *http.Client
	// Timeout bounds one call of Issues where the context does not; 0 means 20 s.
	Timeout time.Duration
	// MaxPages bounds the pages of 100 issues that are read; 0 means 10.
	MaxPages int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Client asks one project. It is safe for concurrent use.
type Client struct {
	cfg Config
	api *api.Client
}

// New checks the configuration. It makes no request.
func New(cfg Config) (*Client, error) {
	asks, err := api.New(api.Config{URL: cfg.URL, Token: cfg.Token, HTTPClient: cfg.HTTPClient, Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	if cfg.Organization == "" || cfg.Project == "" {
		return nil, errors.New("sentry: an organization and a project are needed")
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 20 * time.Second
	}
	if cfg.MaxPages <= 0 {
		cfg.MaxPages = 10
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg: cfg, api: asks}, nil
}

// Source is how gaps and lists of what was read call this evidence.
const Source = "Sentry"

// Issues answers the issues that had events in the window and a Gap for everything
// that could not be learned. It always answers: a Sentry that is down, slow or
// refuses the token costs its evidence, not the audit.
func (c *Client) Issues(ctx context.Context, w audit.Window) (Found, []audit.Gap) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if c.cfg.Token() == "" {
		return nil, []audit.Gap{{Source: Source, Why: "No API token is configured, so issues could not be read; set the Sentry token."}}
	}
	until := w.Until
	if until.IsZero() {
		until = c.cfg.Now()
	}
	query := url.Values{
		"project": {""},
		"query":   {""}, // without it Sentry answers unresolved issues only
		"sort":    {"date"},
		"limit":   {"100"},
		"start":   {w.Since.UTC().Format(stampLayout)},
		// The end is rounded up: Sentry may drop the fraction.
		"end": {until.UTC().Add(time.Second - 1).Truncate(time.Second).Format(stampLayout)},
	}
	id, err := c.projectID(ctx)
	if err != nil {
		return nil, []audit.Gap{c.gap(err)}
	}
	query.Set("project", id)
	var issues Found
	var gaps []audit.Gap
	for page := 1; ; page++ {
		list, cursor, err := c.page(ctx, query)
		if err != nil {
			gaps = append(gaps, c.gap(err))
			break
		}
		issues = append(issues, list...)
		if cursor == "" {
			break
		}
		if page == c.cfg.MaxPages {
			gaps = append(gaps, audit.Gap{Source: Source, Why: fmt.Sprintf("The window has more than %d issues; only the newest were read.", len(issues))})
			break
		}
		query.Set("cursor", cursor)
	}
	return issues, gaps
}

// stampLayout is the API's ISO 8601 without a zone, which means UTC.
const stampLayout = "2006-01-02T15:04:05"

// projectID is the project's number. Sentry documents `project` as numbers; newer
// versions take slugs too, so that is tried where the token may not look.
func (c *Client) projectID(ctx context.Context) (string, error) {
	if strings.Trim(c.cfg.Project, "0123456789") == "" {
		return c.cfg.Project, nil
	}
	var project struct {
		ID string `json:"id"`
	}
	_, err := c.api.Do(ctx, api.Call{Path: []string{"projects", c.cfg.Organization, c.cfg.Project}}, &project)
	switch {
	case api.Status(err) == http.StatusForbidden:
		return c.cfg.Project, nil
	case err != nil:
		return "", err
	case project.ID == "":
		return "", errors.New("the project has no id")
	}
	return project.ID, nil
}

// page reads one page of issues and the cursor of the next, "" after the last.
func (c *Client) page(ctx context.Context, query url.Values) ([]wireIssue, string, error) {
	var list []wireIssue
	header, err := c.api.Do(ctx, api.Call{Path: []string{"organizations", c.cfg.Organization, "issues"}, Query: query}, &list)
	if err != nil {
		return nil, "", err
	}
	return list, api.NextCursor(header), nil
}
