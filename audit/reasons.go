package audit

import (
	"fmt"
	"slices"
	"strings"
)

// maxReasons is how many facts a verdict rests on in what people read.
const maxReasons = 3

// reasons are the facts under a verdict, the weightiest first; one that does not apply
// is "".
var reasons = []func(Evidence) string{
	func(e Evidence) string {
		if e.Late.Count == 0 {
			return ""
		}
		return upper(count(e.Late.Count, "accepted request")) + " after the old value was proven dead: only the new one is accepted there."
	},
	func(e Evidence) string {
		v, ok := brokeIn(e)
		if !ok {
			return ""
		}
		return fmt.Sprintf("%s was refused %s before it was let in.", v.Addr, times(v.RefusedFirst))
	},
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
		if e.Exposed == 0 {
			return ""
		}
		return "The value itself, or its beginning, stands in " + count(e.Exposed, "line") + " of the logs: whoever may read them has it."
	},
	func(e Evidence) string {
		if e.Refused.Count == 0 {
			return ""
		}
		return fmt.Sprintf("%s by addresses not ours (%s).", upper(count(e.Refused.Count, "refused request")), names(e.Refused.Addresses))
	},
	func(e Evidence) string {
		if e.Unattributed == 0 {
			return ""
		}
		return upper(count(e.Unattributed, "accepted request")) + " by a sender the logs or the catalogue do not identify."
	},
	func(e Evidence) string {
		v, ok := strangeCaller(e)
		if !ok {
			return ""
		}
		return fmt.Sprintf("%s is a known caller, but not as before: %s.", v.Addr, strings.Join(v.Unusual, "; "))
	},
	func(e Evidence) string {
		if e.RefusedOurs == 0 {
			return ""
		}
		return fmt.Sprintf("%s by our own addresses: checks made with a wrong value, or a service that still signs with an old one.", upper(count(e.RefusedOurs, "refused request")))
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

// brokeIn is the stranger that was refused most often before it was let in.
func brokeIn(e Evidence) (worst Visitor, ok bool) {
	for _, v := range e.Visitors {
		if letIn(e, v) && v.RefusedFirst > worst.RefusedFirst {
			worst, ok = v, true
		}
	}
	return worst, ok
}

// letIn reports whether v is one of the strangers whose requests were accepted.
func letIn(e Evidence, v Visitor) bool {
	return !v.Ours && v.Accepted > 0 && slices.ContainsFunc(e.Accepted.Addresses, func(t Tally) bool { return t.Name == v.Addr })
}

// strangeCaller is the first known caller whose uses differ from before.
func strangeCaller(e Evidence) (Visitor, bool) {
	for _, v := range e.Visitors {
		if v.Ours && len(v.Unusual) > 0 {
			return v, true
		}
	}
	return Visitor{}, false
}
