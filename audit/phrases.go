package audit

import (
	"fmt"
	"strings"
	"time"
)

func notOurs(a Activity) string {
	if len(a.Addresses) == 1 {
		return "an address that is not ours"
	}
	return addresses(len(a.Addresses)) + " that are not ours"
}

// addresses counts addresses; a list cut at 20 says so.
func addresses(n int) string {
	switch {
	case n == 1:
		return "1 address"
	case n >= maxTallies:
		return fmt.Sprintf("at least %d addresses", n)
	default:
		return fmt.Sprintf("%d addresses", n)
	}
}

// maxTallies is the length of the longest list of tallies in a report.
const maxTallies = 20

// names lists the first three tallies in words.
func names(list []Tally) string {
	const n = 3
	var parts []string
	for _, t := range list[:min(n, len(list))] {
		parts = append(parts, t.Name)
	}
	if more := len(list) - n; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	switch len(parts) {
	case 0:
		return "an address that was not recorded"
	case 1:
		return parts[0]
	default:
		return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
	}
}

// between says when, to the minute, in UTC; with dates unless both lie on one day.
func between(a Activity) string {
	first, last := a.First.UTC(), a.Last.UTC()
	day, clock := first.Format(time.DateOnly), "15:04"
	switch {
	case first.IsZero():
		return "at a time that was not recorded"
	case first.Truncate(time.Minute).Equal(last.Truncate(time.Minute)):
		return "at " + first.Format(clock) + " UTC on " + day
	case day == last.Format(time.DateOnly):
		return "between " + first.Format(clock) + " and " + last.Format(clock) + " UTC on " + day
	default:
		return "between " + first.Format("2006-01-02 15:04") + " and " + last.Format("2006-01-02 15:04") + " UTC"
	}
}

func since(e Evidence) string {
	if e.AccessSince.IsZero() {
		return ""
	}
	return " since " + e.AccessSince.UTC().Format("2006-01-02 15:04") + " UTC, when the access log begins,"
}

func alsoRefused(e Evidence) string {
	if e.Refused.Count == 0 {
		return ""
	}
	return fmt.Sprintf("; as far as can be read, %s by %s %s", count(e.Refused.Count, "request"), names(e.Refused.Addresses), wasRefused(e.Refused.Count))
}

func wasRefused(n int) string {
	if n == 1 {
		return "was refused"
	}
	return "were refused"
}

// count is Count, but for "no lines".
func count(n int, noun string) string {
	if n == 0 {
		return "no " + noun + "s"
	}
	return Count(n, noun)
}

// upper starts a sentence; count begins with a digit or with "no".
func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return count(n, "time")
}
