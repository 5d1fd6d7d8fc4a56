package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"

	"github.com/slack-go/slack"
)

// FatalError means that Slack refuses our token: only a person can mend it.
type FatalError struct {
	Code   string // Slack's word: "invalid_auth"
	Needed string // missing_scope: the scope that is missing
}

// Error is one sentence for the person who starts the bot.
func (e *FatalError) Error() string {
	what := fatalCodes[e.Code]
	if e.Code == "missing_scope" && e.Needed != "" {
		what = fmt.Sprintf("the app-level token lacks the scope %s: make a new one with it", e.Needed)
	}
	return fmt.Sprintf("Slack refuses SLACK_APP_TOKEN (%s): %s", e.Code, what)
}

// fatalCodes are the errors of apps.connections.open that retrying never mends.
var fatalCodes = map[string]string{
	"invalid_auth":           "the token is wrong; copy the app-level token (xapp-…) again",
	"not_authed":             "no token was sent; set the app-level token (xapp-…)",
	"missing_args":           "no token was sent; set the app-level token (xapp-…)",
	"forbidden_team":         "this workspace may not use Socket Mode",
	"account_inactive":       "the app or its owner was deactivated",
	"token_revoked":          "the token was revoked; make a new app-level token",
	"token_expired":          "the token has expired; make a new app-level token",
	"not_allowed_token_type": "this is another kind of token; use the app-level token (xapp-…)",
	"missing_scope":          "the app-level token lacks the scope connections:write: make a new one with it",
	"no_permission":          "the token may not open connections; make an app-level token with connections:write",
}

// fatalFrom answers the *FatalError in err, or nil when trying again makes sense.
func fatalFrom(err error) *FatalError {
	var r slack.SlackErrorResponse
	if errors.As(err, &r) {
		if _, fatal := fatalCodes[r.Err]; fatal {
			return &FatalError{Code: r.Err, Needed: r.Needed}
		}
	}
	return nil
}

// departure is why a connection has to be left: Slack's word for it, or the error
// that broke it.
type departure struct {
	word string
	err  error
}

func (d departure) Error() string {
	if d.err != nil {
		return d.err.Error()
	}
	return "Slack disconnected: " + d.word
}

func (d departure) Unwrap() error { return d.err }

var (
	errSilent = errors.New("no ping from Slack for too long")
	errNoURL  = errors.New("answer without a URL")
)

// class is a short word for a log line. Errors of the HTTP and WebSocket layers
// carry the connection's URL, and that holds a ticket: they are never printed.
func class(err error) string {
	var (
		d       departure
		status  slack.StatusCodeError
		api     slack.SlackErrorResponse
		limited *slack.RateLimitedError
		netErr  net.Error
	)
	switch {
	case errors.Is(err, errSilent), errors.Is(err, errGarbled), errors.Is(err, errNoURL):
		return unwrapped(err).Error()
	case errors.As(err, &limited):
		return "rate limited"
	case errors.As(err, &api):
		return word(api.Err)
	case errors.As(err, &status):
		return fmt.Sprintf("HTTP %d", status.Code)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return "timed out"
	case errors.As(err, &d) && d.err == nil:
		return word(d.word)
	default:
		return "connection failed"
	}
}

// unwrapped answers the innermost error.
func unwrapped(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}

// code is the shape of Slack's error codes, reasons and types.
var code = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,39}$`)

// word is Slack's own word, or "unknown" for anything that does not look like one.
func word(s string) string {
	if !code.MatchString(s) {
		return "unknown"
	}
	return s
}
