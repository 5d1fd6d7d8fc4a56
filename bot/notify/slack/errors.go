package slack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	api "github.com/slack-go/slack"
)

// errGarbled: the answer was not one Slack gives.
var errGarbled = errors.New("garbled answer")

// Error is every failure of this package. It names a class, never what Slack's
// answer or the network said.
type Error struct {
	Doing string // "posting"
	Word  string // "rate limited", "unreachable", or Slack's code: "channel_not_found"
	// Wait is how long Slack asked to be left alone; 0 when it did not say.
	Wait time.Duration
	// Mend reports that trying again is of no use until a person mends something.
	Mend bool
	// Unsure reports that the call may have been carried out all the same.
	Unsure bool
	// ended is the caller's context's error, when that is what ended the call.
	ended error
}

func (e *Error) Error() string { return e.Doing + " in Slack: " + e.Word }

// Unwrap lets errors.Is see that the caller's own context ended the call.
func (e *Error) Unwrap() error { return e.ended }

// Class, Lasting and Delay are how package notify sees the error.

// Class is the short word to record.
func (e *Error) Class() string { return e.Word }

// Lasting reports that a person has to mend something first.
func (e *Error) Lasting() bool { return e.Mend }

// Delay is the wait Slack asked for, 0 when it did not.
func (e *Error) Delay() time.Duration { return e.Wait }

// NotSent reports that Slack refused, so nothing was posted.
func (e *Error) NotSent() bool { return !e.Unsure }

// passing are Slack's codes that mean: not now.
var passing = map[string]bool{
	"internal_error": true, "fatal_error": true, "service_unavailable": true, "request_timeout": true,
	"ratelimited": true, "rate_limited": true, "team_added_to_org": true, "message_limit_exceeded": true,
	// Slack's support: a passing fault of files.completeUploadExternal.
	"file_update_failed": true,
}

func classify(doing string, err error) *Error {
	var (
		known   *Error
		limited *api.RateLimitedError
		status  api.StatusCodeError
		answer  api.SlackErrorResponse
		netErr  net.Error
	)
	e := &Error{Doing: doing}
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &limited):
		e.Word, e.Wait = "rate limited", max(limited.RetryAfter, time.Second)
	case errors.As(err, &status):
		e.Word = fmt.Sprintf("HTTP %d", status.Code)
		e.Mend = status.Code >= 400 && status.Code < 500 && status.Code != 408 && status.Code != 429
		e.Unsure = status.Code >= 500
	case errors.As(err, &answer):
		e.Word = word(answer.Err)
		e.Mend = !passing[answer.Err]
		switch answer.Err {
		case "internal_error", "fatal_error", "request_timeout", "file_update_failed":
			e.Unsure = true
		}
	case errors.Is(err, context.Canceled):
		e.Word, e.Unsure, e.ended = "interrupted", true, context.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		e.Word, e.Unsure = "timed out", true
	case errors.As(err, &netErr):
		e.Word, e.Unsure = "unreachable", true
	default:
		e.Word, e.Unsure = "garbled answer", true
	}
	return e
}

// code is the shape of Slack's error codes.
var code = regexp.MustCompile(`^[a-z][a-z0-9_]{1,59}$`)

// word is Slack's code, or "refused" for anything that does not look like one.
func word(s string) string {
	if !code.MatchString(s) {
		return "refused"
	}
	return s
}

// Gone reports that the message an edit was meant for is not there any more, or
// may not be edited any more: it has to be posted anew.
func Gone(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Word {
	case "message_not_found", "cant_update_message", "edit_window_closed":
		return true
	}
	return false
}

// NoEntry reports that we may not speak in the channel, or there is none.
func NoEntry(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Word {
	case "channel_not_found", "not_in_channel", "is_archived", "restricted_action", "cannot_dm_bot", "messages_tab_disabled":
		return true
	}
	return false
}

// CannotSearch reports that we lack the right to read the channel's history.
func CannotSearch(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Doing == "searching" && e.Mend
}
