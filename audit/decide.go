package audit

import (
	"fmt"
	"strings"
)

// Decide reaches the verdict. It is pure: the rules below are tried in order and
// the first that fires gives the outcome.
//
// The order is a responder's: a proven use is a use however much else is missing;
// without the log that would show a use, nobody may say there was none, even when
// refusals were seen; only then do refusals, and only then does silence, mean
// anything. What makes the answer less sure is in the table of doubts, apart from the
// rules: it never turns a verdict, it only says how far to trust it and what would
// change it.
func Decide(e Evidence) Verdict {
	for _, r := range rules {
		if !r.fires(e) {
			continue
		}
		v := Verdict{Outcome: r.outcome, Sentence: r.sentence(e)}
		for _, reason := range reasons {
			if text := reason(e); text != "" && len(v.Reasons) < maxReasons {
				v.Reasons = append(v.Reasons, text)
			}
		}
		v.Confidence, v.Changes = doubt(e, v.Outcome)
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
		name:    "a stranger was let in after the old value had died",
		fires:   func(e Evidence) bool { return e.Late.Count > 0 },
		outcome: Misused,
		sentence: func(e Evidence) string {
			return fmt.Sprintf("Used, and the new value as well: after the old one was dead %s still made %s to %s %s. Rotate again, and look for how it leaks.",
				names(e.Late.Addresses), count(e.Late.Count, "accepted request"), names(e.Late.Paths), between(e.Late))
		},
	},
	{
		name:    "a stranger was refused and then let in",
		fires:   func(e Evidence) bool { _, ok := brokeIn(e); return ok && e.Accepted.Count > 0 },
		outcome: Misused,
		sentence: func(e Evidence) string {
			v, _ := brokeIn(e)
			made := fmt.Sprintf("%s to %s %s.", count(e.Accepted.Count, "accepted request"), names(e.Accepted.Paths), between(e.Accepted))
			how := fmt.Sprintf("Used by %s: %s was refused %s and then let in", notOurs(e.Accepted), v.Addr, times(v.RefusedFirst))
			if len(e.Accepted.Addresses) == 1 {
				return how + ": it made " + made
			}
			return fmt.Sprintf("%s at %s; in all, %s made %s", how, v.Entered.UTC().Format("15:04 UTC on 2006-01-02"), names(e.Accepted.Addresses), made)
		},
	},
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
