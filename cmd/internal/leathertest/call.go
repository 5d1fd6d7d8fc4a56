package leathertest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Subscribe subscribes an address, to which the worker then mails.
func (e *Estate) Subscribe(ctx context.Context, address string) error {
	form := url.Values{"email": {address}}
	return e.call(ctx, http.MethodPost, "/api/subscribe/", form, http.StatusOK)
}

// Crash makes a view of Django fail, of which Sentry is told.
func (e *Estate) Crash(ctx context.Context) error {
	return e.call(ctx, http.MethodGet, "/api/crash/", nil, http.StatusInternalServerError)
}

func (e *Estate) call(ctx context.Context, method, path string, form url.Values, want int) error {
	req, err := http.NewRequestWithContext(ctx, method, e.URL(Django)+path, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("calling %s: %w", path, err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("calling %s: %w", path, err)
	}
	if err := res.Body.Close(); err != nil {
		return fmt.Errorf("calling %s: %w", path, err)
	}
	if res.StatusCode != want {
		return fmt.Errorf("%s answered %d, want %d", path, res.StatusCode, want)
	}
	return nil
}
