package audit

import (
	"fmt"
	"strings"
	"time"
)

// Decide reaches the verdict. It is pure: the rules below are tried in order and
// the first that fires gives the outcome.
//
// The order is a responder's: a proven use is a use however much else is missing;
// without the log that would show a use, nobody may say there was none, even when
// refusals were seen; only then do refusals, and only then does silence, mean
// anything.
func Decide(e Evidence) Verdict {
	for _, r := range rules {
		if !r.fires(e) {
			continue
		}
		v := Verdict{Outcome: r.outcome, Sentence: r.sentence(e)}
		for _, reason := range reasons {
			if text := reason(e); text != "" {
				v.Reasons = append(v.Reasons, text)
			}
		}
		if r.lacks != nil {
			v.Missing = append(v.Missing, r.lacks(e))
		}
		for _, g := range e.Gaps {
			v.Missing = append(v.Missing, g.Source+": "+g.Why)
		}
		return v
	}
	panic("audit: the last rule must always fire")
}

// rule is one row of the decision.
type rule struct {
	name     string
	fires    func(Evidence) bool
	outcome  Outcome
	sentence func(Evidence) string
	lacks    func(Evidence) string // what is missing to tell; nil when Gaps say it
}

var rules = []rule{
	{
		name:    "a stranger's request was accepted",
		fires:   func(e Evidence) bool { return e.Accepted.Count > 0 },
		outcome: Misused,
		sentence: func(e Evidence) string {
			return fmt.Sprintf("Used by %s: %s made %s to %s %s.", notOurs(e.Accepted), names(e.Accepted.Addresses),
				count(e.Accepted.Count, "accepted request"), names(e.Accepted.Paths), between(e.Accepted))
		},
	},
	{
		name:    "nothing says where the secret is used",
		fires:   func(e Evidence) bool { return len(e.Endpoints) == 0 },
		outcome: CannotTell,
		sentence: func(e Evidence) string {
			return "Cannot tell: the catalogue names no endpoint this secret guards, so no log line can show its use" + alsoRefused(e) + "."
		},
		lacks: func(Evidence) string {
			return "catalogue: the endpoints this secret guards; where it guards none (a session key, a password), ask the service that accepts it for its own log"
		},
	},
	{
		name:    "the log that would show a use is missing",
		fires:   func(e Evidence) bool { return e.Access == Unseen },
		outcome: CannotTell,
		sentence: func(e Evidence) string {
			return "Cannot tell: no access log could be read, and only an access log would show an accepted use" + alsoRefused(e) + "."
		},
		lacks: func(e Evidence) string {
			return "access log: a readable log of every answer of " + strings.Join(e.Endpoints, ", ")
		},
	},
	{
		name:    "the log that would show a use has a hole",
		fires:   func(e Evidence) bool { return e.Access == Partial },
		outcome: CannotTell,
		sentence: func(e Evidence) string {
			return "Cannot tell: a part of the access log could not be read, and a use may be in it" + alsoRefused(e) + "."
		},
	},
	{
		name:    "accepted requests whose sender is not known",
		fires:   func(e Evidence) bool { return e.Unattributed > 0 },
		outcome: CannotTell,
		sentence: func(e Evidence) string {
			return fmt.Sprintf("Cannot tell: %s to %s came from an address that cannot be told from a stranger's%s.",
				count(e.Unattributed, "accepted request"), strings.Join(e.Endpoints, ", "), alsoRefused(e))
		},
	},
	{
		name:    "strangers were refused",
		fires:   func(e Evidence) bool { return e.Refused.Count > 0 },
		outcome: Refused,
		sentence: func(e Evidence) string {
			return fmt.Sprintf("Tried and refused: %s by %s %s; every accepted request%s came from an address that is ours.",
				count(e.Refused.Count, "refused request"), names(e.Refused.Addresses), between(e.Refused), since(e))
		},
	},
	{
		name:    "nothing was found",
		fires:   func(Evidence) bool { return true },
		outcome: NoSign,
		sentence: func(e Evidence) string {
			return fmt.Sprintf("No sign of misuse: every accepted request to %s%s came from an address that is ours, and no stranger was refused.",
				strings.Join(e.Endpoints, ", "), since(e))
		},
	},
}

// reasons are the facts under a verdict; one that does not apply is "".
var reasons = []func(Evidence) string{
	func(e Evidence) string {
		if len(e.Endpoints) == 0 || e.Access == Unseen {
			return ""
		}
		if e.Accepted.Count == 0 {
			return "No accepted request to " + strings.Join(e.Endpoints, ", ") + " is known to come from an address that is not ours."
		}
		return fmt.Sprintf("%s by %s not in the catalogue's known callers.", upper(count(e.Accepted.Count, "accepted request")), addresses(len(e.Accepted.Addresses)))
	},
	func(e Evidence) string {
		if e.Refused.Count == 0 {
			return ""
		}
		return fmt.Sprintf("%s by addresses not ours (%s).", upper(count(e.Refused.Count, "refused request")), names(e.Refused.Addresses))
	},
	func(e Evidence) string {
		if e.RefusedOurs == 0 {
			return ""
		}
		return fmt.Sprintf("%s by our own addresses: checks made with a wrong value, or a service that still signs with an old one.", upper(count(e.RefusedOurs, "refused request")))
	},
	func(e Evidence) string {
		if e.Unattributed == 0 {
			return ""
		}
		return upper(count(e.Unattributed, "accepted request")) + " by a sender the logs or the catalogue do not identify."
	},
	func(e Evidence) string {
		if e.Signals == 0 {
			return ""
		}
		return fmt.Sprintf("Sentry has %s mentioning the endpoints or a signature.", count(e.Signals, "issue"))
	},
	func(e Evidence) string {
		if e.Refusals == Whole || e.Access == Unseen {
			return ""
		}
		return "Refusals were counted from what could be read; some logs of refusals could not."
	},
}

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

func count(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + "s"
	case 1:
		return "1 " + noun
	}
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits + " " + noun + "s"
}

// upper starts a sentence; count begins with a digit or with "no".
func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
