package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	maxBody   = 16 << 20 // bytes of an answer; a page of 100 issues has under 1 MB
	maxTries  = 4        // of one request
	maxWait   = time.Minute
	firstWait = 250 * time.Millisecond // before a failed request is tried again
)

// Call is one request. Path is below the API's root and has its parts escaped one by
// one; it ends with a slash whether one is written or not.
type Call struct {
	Method string // "" means GET
	Path   []string
	Query  url.Values
	Body   any // sent as JSON; nil for none
}

// Do makes a call and decodes the answer into into (nil: it is not looked at). A 429 is
// waited out as long as ctx's deadline allows, at most a minute at a time. Reading is
// tried again after a 5xx and a broken connection; changing is not, because it may have
// happened: then the error says that nothing is known. The answer is at most 16 MiB.
//
// Errors: *Refusal for a status other than 2xx, *TooLong, ErrNotAPI, ctx's error, or
// one that says that Sentry could not be reached.
func (c *Client) Do(ctx context.Context, call Call, into any) (http.Header, error) {
	if call.Method == "" {
		call.Method = http.MethodGet
	}
	pause := firstWait
	for try := 1; ; try++ {
		header, err := c.once(ctx, call, into)
		if err == nil {
			return header, nil
		}
		var refused *Refusal
		wait := pause
		switch {
		case ctx.Err() != nil || errors.Is(err, ErrNotAPI):
			return nil, err
		case errors.As(err, &refused) && refused.Status == http.StatusTooManyRequests:
			wait = refused.Wait
			if deadline, ok := ctx.Deadline(); wait > maxWait || ok && time.Until(deadline) < wait {
				return nil, &TooLong{Wait: wait}
			}
		case call.Method != http.MethodGet, errors.As(err, &refused) && refused.Status < 500:
			return nil, err
		}
		if try == maxTries {
			return nil, err
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
		pause *= 2
	}
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

func (c *Client) once(ctx context.Context, call Call, into any) (http.Header, error) {
	var body io.Reader
	if call.Body != nil {
		text, err := json.Marshal(call.Body)
		if err != nil {
			return nil, fmt.Errorf("asking sentry: %w", err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, c.url(call), body)
	if err != nil {
		return nil, fmt.Errorf("asking sentry: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Token())
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.cfg.HTTPClient.Do(req)
	if err != nil {
		var about *url.Error // quotes the address, which names a client key
		if errors.As(err, &about) {
			err = about.Err
		}
		return nil, fmt.Errorf("asking sentry: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // keeps the connection
		return nil, &Refusal{Status: resp.StatusCode, Wait: c.waitFor(resp.Header)}
	}
	if into == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
		return resp.Header, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(into); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, ErrNotAPI // the decoder's text may quote the answer
	}
	return resp.Header, nil
}

// url is the call's address. JoinPath would resolve ".." in a part; escaped, a part can
// only be a part.
func (c *Client) url(call Call) string {
	u := *c.base
	u.RawQuery, u.Fragment = "", ""
	u.Path = joined(u.Path, call.Path, func(s string) string { return s })
	u.RawPath = joined(c.base.EscapedPath(), call.Path, url.PathEscape)
	u.RawQuery = call.Query.Encode()
	return u.String()
}

func joined(root string, parts []string, escape func(string) string) string {
	for len(root) > 0 && root[len(root)-1] == '/' {
		root = root[:len(root)-1]
	}
	root += "/api/0/"
	for _, p := range parts {
		if p == "." || p == ".." {
			p = "" // no slug, and a way out of the path
		}
		root += escape(p) + "/"
	}
	return root
}
