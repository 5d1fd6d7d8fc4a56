package commands

import (
	"strconv"
	"strings"
	"time"
)

// LongestSince is the furthest an audit may look back.
const LongestSince = 366 * 24 * time.Hour

func (p Parser) parseAudit(tokens []string) (Request, error) {
	r := Request{Verb: Audit, Secret: word(tokens[0])}
	if r.Secret == "" || strings.HasPrefix(r.Secret, "-") {
		return Request{}, &UsageError{Problem: "The name of the secret comes first.", Try: "/audit-secret NAME since 24h"}
	}
	for rest := tokens[1:]; len(rest) > 0; {
		env, n, err := environment(rest, r)
		if err != nil {
			return Request{}, err
		}
		if n > 0 {
			if r.Environment != "" && r.Environment != env {
				return Request{}, twoEnvironments("/audit-secret " + shown(r.Secret))
			}
			r.Environment, rest = env, rest[n:]
			continue
		}
		since, n := sinceWords(rest)
		if n == 0 {
			return Request{}, &UsageError{
				Problem: echo(word(rest[0])) + " is not understood here.",
				Try:     "/audit-secret " + shown(r.Secret) + inEnvironment(r) + " since 24h",
			}
		}
		if r.Since != 0 {
			return Request{}, &UsageError{Problem: "Two beginnings are named: write since once.", Try: "/audit-secret " + shown(r.Secret) + " since 24h"}
		}
		if r.Since, err = ParseSince(since, p.Now()); err != nil {
			return Request{}, err
		}
		rest = rest[n:]
	}
	return r, nil
}

// sinceWords answers what follows "since" and how many tokens that is in all.
func sinceWords(tokens []string) (text string, n int) {
	k := keyword(tokens[0])
	for _, prefix := range []string{"--since=", "since=", "since:"} {
		if rest, ok := strings.CutPrefix(k, prefix); ok && rest != "" {
			return rest, 1
		}
	}
	switch k {
	case "since", "--since", "for", "last":
		n = 1
	default:
		if _, err := span(k); err == nil { // "/audit-secret NAME 24h"
			return k, 1
		}
		return "", 0
	}
	for len(tokens) > n && (keyword(tokens[n]) == "the" || keyword(tokens[n]) == "last") {
		n++ // "for the last 24h"
	}
	// Two tokens may be one point of time ("24 hours", "2026-11-20 10:00").
	for take := min(2, len(tokens)-n); take > 0; take-- {
		text = strings.Join(tokens[n:n+take], " ")
		if take == 1 || isTime(text) {
			n += take
			break
		}
	}
	if len(tokens) > n && keyword(tokens[n]) == "ago" {
		n++
	}
	return text, n
}

// leaked reads since when the secret may be known, where a rotation says so before its
// reason: "since 3d", "leaked-since=2026-11-20". Words after "since" that are no time
// begin the reason ("since the deploy"), so n is 0 for them.
func (p Parser) leaked(tokens []string) (since time.Duration, n int) {
	k := keyword(tokens[0])
	for _, prefix := range []string{"--leaked-since=", "leaked-since=", "--since=", "since="} {
		if rest, ok := strings.CutPrefix(k, prefix); ok {
			if d, err := ParseSince(rest, p.Now()); err == nil {
				return d, 1
			}
			return 0, 0
		}
	}
	if k != "since" && k != "leaked-since" || len(tokens) < 2 {
		return 0, 0
	}
	text, n := sinceWords(append([]string{"since"}, tokens[1:]...))
	if d, err := ParseSince(text, p.Now()); err == nil {
		return d, n
	}
	return 0, 0
}

// isTime reports that text has the form of a span or a point of time.
func isTime(text string) bool {
	t := strings.ToLower(word(text))
	if _, err := span(t); err == nil {
		return true
	}
	_, ok := point(t, time.Unix(0, 0).UTC())
	return ok
}

// ParseSince reads how far back an audit looks, counted from now: a span ("24h",
// "7d", "2 weeks", "90m"), a day ("2026-11-20", from midnight UTC), a point of time
// ("2026-11-20T10:00Z", "2026-11-20 10:00", UTC unless it says otherwise), a time of
// day (its latest occurrence) or today and yesterday. The answer is more than zero
// and at most LongestSince; the error is a *UsageError.
func ParseSince(text string, now time.Time) (time.Duration, error) {
	t := strings.ToLower(word(strings.TrimSpace(text)))
	d, err := span(t)
	if err != nil {
		at, ok := point(t, now.UTC())
		if !ok {
			return 0, &UsageError{Problem: echo(text) + " is not a time: write since 24h, since 7d, since 2026-11-20 or since 2026-11-20T10:00Z."}
		}
		d = now.Sub(at)
		if d <= 0 {
			return 0, &UsageError{Problem: echo(text) + " is still to come (the time is read as UTC): write a time that has passed, or since 24h."}
		}
	}
	switch {
	case d <= 0:
		return 0, &UsageError{Problem: echo(text) + " looks back no time at all: write since 24h."}
	case d > LongestSince:
		return 0, &UsageError{Problem: echo(text) + " is more than 366 days back: write at most since 366d."}
	}
	return d, nil
}

var units = map[string]time.Duration{
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
	"w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour, "weeks": 7 * 24 * time.Hour,
}

// span reads a number and its unit, with or without a space; also Go's "1h30m".
func span(t string) (time.Duration, error) {
	digits := strings.IndexFunc(t, func(r rune) bool { return r < '0' || r > '9' })
	if digits > 0 {
		n, err := strconv.Atoi(t[:digits])
		if unit, ok := units[strings.TrimSpace(t[digits:])]; ok && err == nil {
			if n > int(LongestSince/unit) {
				return LongestSince + 1, nil
			}
			return time.Duration(n) * unit, nil
		}
	}
	return time.ParseDuration(t) //nolint:wrapcheck // asked for as a yes or no; never shown
}

func point(t string, now time.Time) (time.Time, bool) {
	midnight := now.Truncate(24 * time.Hour)
	switch t {
	case "today", "midnight":
		return midnight, true
	case "yesterday":
		return midnight.AddDate(0, 0, -1), true
	}
	t = strings.ToUpper(t)
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04",
		"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02 15:04Z07:00", "2006-01-02",
	} {
		if at, err := time.Parse(layout, t); err == nil {
			return at, true
		}
	}
	for _, layout := range []string{"15:04", "15:04Z07:00", "15:04:05"} {
		if at, err := time.Parse(layout, t); err == nil {
			at = at.UTC()
			today := midnight.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second)
			if today.After(now) {
				today = today.AddDate(0, 0, -1)
			}
			return today, true
		}
	}
	return time.Time{}, false
}
