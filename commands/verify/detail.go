package verify

import (
	"fmt"
	"strings"
	"time"

	"rekey/audit"
)

// place is which of several instances a result is about.
type place struct{ number, of int }

func (t *tally) result(o Outcome, at place, format string, args ...any) Result {
	who := t.opts.Consumer
	if at.of > 1 {
		who += fmt.Sprintf(" (instance %d of %d)", at.number, at.of)
	}
	return Result{Outcome: o, Detail: who + " " + fmt.Sprintf(format, args...), Asked: t.asked, Workers: t.agreeing()}
}

func (t *tally) passed(at place) Result {
	if t.named() {
		if n := len(t.agreeing()); n > 1 {
			return t.result(Passed, at, "is proven: all %d workers %s.", n, t.claims(false))
		}
		return t.result(Passed, at, "is proven: its worker %s.", t.claims(true))
	}
	return t.result(Passed, at, "is proven: it %s, %s in a row.", t.claims(true), audit.Count(t.clean, "time"))
}

func (t *tally) stopped(at place) Result {
	return t.result(UnknownCheck, at, "was not asked to the end: the check was stopped.")
}

// missed puts into words what was wrong when the time was up: first what is worst.
func (t *tally) missed(at place) Result {
	after := span(t.opts.Within)
	most, by := -1, 0
	for i, e := range t.exps {
		n := t.against(i)
		if n > 0 && e.Label == "wrong" && e.Want == Refused {
			return t.result(FailedCheck, at, "accepts anything: it took a made-up value, so nothing it accepts proves anything.")
		}
		if n > by {
			most, by = i, n
		}
	}
	switch {
	case most >= 0 && t.named():
		// Workers that were replaced meanwhile may have been heard as well.
		return t.result(FailedCheck, at, "is not proven: %d of %d workers still %s the %s value after %s.",
			by, max(t.opts.Workers, by), t.verb(most, by == 1), t.exps[most].Label, after)
	case most >= 0:
		return t.result(FailedCheck, at, "is not proven: it still %s the %s value after %s.", t.verb(most, true), t.exps[most].Label, after)
	case t.clean == 0:
		return t.result(UnknownCheck, at, "could not be asked for %s: %s.", after, t.why)
	case t.named():
		return t.result(UnknownCheck, at, "is not proven: only %d of %d workers were heard to agree within %s.", len(t.agreeing()), t.opts.Workers, after)
	}
	return t.result(UnknownCheck, at, "is not proven: it agreed only %s in a row within %s, and %d are called for.",
		audit.Count(t.clean, "time"), after, t.opts.Streak)
}

// verb is what a contradicting service does: the opposite of what is wanted.
func (t *tally) verb(i int, singular bool) string {
	v := "refuse"
	if t.exps[i].Want == Refused {
		v = "accept"
	}
	if singular {
		v += "s"
	}
	return v
}

// claims says what was proven: "accept the new value and refuse the old value and a
// made-up one".
func (t *tally) claims(singular bool) string {
	var accept, refuse []string
	for _, e := range t.exps {
		name := "the " + e.Label + " value"
		if e.Label == "wrong" {
			name = "a made-up one"
		}
		if e.Want == Accepted {
			accept = append(accept, name)
		} else {
			refuse = append(refuse, name)
		}
	}
	s := ""
	if singular {
		s = "s"
	}
	var parts []string
	if len(accept) > 0 {
		parts = append(parts, "accept"+s+" "+strings.Join(accept, " and "))
	}
	if len(refuse) > 0 {
		parts = append(parts, "refuse"+s+" "+strings.Join(refuse, " and "))
	}
	return strings.Join(parts, ", and ")
}

// span prints a duration for people: "10 s", "1.5 s", "200 ms".
func span(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.3g s", d.Seconds())
}
