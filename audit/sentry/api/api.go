// Package api speaks to Sentry's REST API: bearer token, paths that end with a slash,
// rate limits that are waited out, pages by cursor. It exists so that whoever reads
// issues and whoever rotates client keys treat Sentry, and the token, alike.
//
// Protocol: https://docs.sentry.io/api/, https://docs.sentry.io/api/pagination/,
// https://docs.sentry.io/api/ratelimits/. No text it answers holds the token or
// anything of what Sentry said.
package api

import (
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Config says where Sentry is and how to show who asks.
type Config struct {
	URL string // "https://sentry.io", or a self-hosted Sentry's address
	// Token answers the API token at the time of a request, so that the token itself is
	// held in one place only.
	Token func() string
	// HTTPClient defaults to one that follows no redirects: the API answers where it is
	// asked, and a token must not travel on.
	HTTPClient *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Client asks one Sentry. It is safe for concurrent use.
type Client struct {
	cfg  Config
	base *url.URL
}

// New checks the configuration. It makes no request.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil {
		return nil, errors.New("sentry: the URL must be like https://sentry.io, without a user")
	}
	if cfg.Token == nil {
		return nil, errors.New("sentry: a token is needed")
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg: cfg, base: base}, nil
}
