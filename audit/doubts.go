package audit

import (
	"fmt"
	"strings"
)

// doubtful is one row of what makes a verdict less sure.
type doubtful struct {
	name     string
	about    []Outcome // the verdicts it weakens
	fires    func(Evidence) bool
	most     Confidence // no verdict is surer than that while it fires
	changing func(Evidence) string
}

// doubts are tried all; the least sure wins.
var doubts = []doubtful{
	{
		name:  "the address called before the window, too",
		about: []Outcome{Misused},
		fires: calledBefore,
		most:  Medium,
		changing: func(e Evidence) string {
			v, _ := firstIn(e)
			return fmt.Sprintf("%s behaves as it did before. If it is one of yours, list it under callers in the catalogue and audit again; if not, the secret leaked earlier than the window begins.", v.Addr)
		},
	},
	{
		name:  "the catalogue may lack a caller",
		about: []Outcome{Misused},
		fires: func(e Evidence) bool { return !calledBefore(e) },
		most:  High,
		changing: func(e Evidence) string {
			return "If " + names(e.Accepted.Addresses) + " belongs to you, list it under callers in the catalogue and audit again."
		},
	},
	{
		name:  "the catalogue names no callers",
		about: []Outcome{NoSign, Refused},
		fires: func(e Evidence) bool { return e.AsBefore > 0 },
		most:  Medium,
		changing: func(e Evidence) string {
			return fmt.Sprintf("The catalogue names no callers, so %s are taken for honest because their addresses called before; list the callers to be sure.", count(e.AsBefore, "accepted request"))
		},
	},
	{
		name:  "a known caller behaves unlike before",
		about: []Outcome{NoSign, Refused},
		fires: func(e Evidence) bool { _, ok := strangeCaller(e); return ok },
		most:  Medium,
		changing: func(e Evidence) string {
			v, _ := strangeCaller(e)
			return fmt.Sprintf("Ask who runs %s whether that was them: %s. If not, the secret was used from a machine of ours.", v.Addr, strings.Join(v.Unusual, "; "))
		},
	},
	{
		name:  "the access log begins inside the window",
		about: []Outcome{NoSign, Refused},
		fires: func(e Evidence) bool { return !e.AccessSince.IsZero() },
		most:  Medium,
		changing: func(e Evidence) string {
			return "An access log of before " + e.AccessSince.UTC().Format("2006-01-02 15:04") + " UTC would show what happened until then."
		},
	},
	{
		name:  "some refusals could not be read",
		about: []Outcome{NoSign, Refused},
		fires: func(e Evidence) bool { return e.Refusals != Whole },
		most:  Medium,
		changing: func(Evidence) string {
			return "The logs of refusals that could not be read may hold more attempts; they cannot hold a use."
		},
	},
	{
		name:     "something else could not be read",
		about:    []Outcome{NoSign, Refused},
		fires:    func(e Evidence) bool { return len(e.Gaps) > 0 },
		most:     Medium,
		changing: func(Evidence) string { return "What could not be read is listed; mend it and audit again." },
	},
	{
		name:  "the value stands in the logs",
		about: []Outcome{NoSign, Refused},
		fires: func(e Evidence) bool { return e.Exposed > 0 },
		most:  Medium,
		changing: func(Evidence) string {
			return "Whoever may read those logs could use the value from a machine of ours, which looks like an honest use."
		},
	},
	{
		name:  "it cannot be told",
		about: []Outcome{CannotTell},
		fires: func(Evidence) bool { return true },
		most:  Low,
		changing: func(Evidence) string {
			return "Bring what is missing and audit again."
		},
	},
	{
		name:  "it leaked earlier",
		about: []Outcome{NoSign, Refused},
		fires: func(Evidence) bool { return true },
		most:  High,
		changing: func(Evidence) string {
			return "If it may have leaked before the window begins, audit again since then."
		},
	},
}

// doubt answers how sure an outcome is, and what would change it.
func doubt(e Evidence, outcome Outcome) (Confidence, []string) {
	sure, several := High, 0
	var changes []string
	for _, d := range doubts {
		for _, about := range d.about {
			if about != outcome || !d.fires(e) {
				continue
			}
			changes = append(changes, d.changing(e))
			if d.most == Medium {
				several++
			}
			if d.most == Low || d.most == Medium && sure == High {
				sure = d.most
			}
		}
	}
	if several > 2 {
		sure = Low
	}
	return sure, changes
}

// firstIn is the stranger that matters most among those that were let in.
func firstIn(e Evidence) (Visitor, bool) {
	for _, v := range e.Visitors {
		if letIn(e, v) {
			return v, true
		}
	}
	return Visitor{}, false
}

// calledBefore reports whether the stranger that was let in did so before the window in
// the same way, without ever being refused.
func calledBefore(e Evidence) bool {
	v, ok := firstIn(e)
	_, broke := brokeIn(e)
	return ok && e.Late.Count == 0 && !broke && e.Normal > 0 && len(v.Unusual) == 0
}
