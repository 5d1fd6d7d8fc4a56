package schedule

import (
	"slices"
	"time"

	"rekey/commands/secret"
)

// horizon is how many days ahead an opening is looked for: longer than any blackout
// between two yearly ones.
const horizon = 400

// Opening answers the first span from a moment on in which routine rotations may start
// by themselves, in the schedule's zone. A window that is open begins at that moment. ok
// is false where none opens in the next 400 days; to is zero where none closes in them.
func Opening(s secret.Schedule, at time.Time) (from, to time.Time, ok bool) {
	if len(s.Windows) == 0 {
		return from, to, false
	}
	at = at.In(zone(s))
	if Open(s, at) {
		from = at
	}
	y, m, d := at.Date()
	for n := -1; n <= horizon; n++ {
		for _, edge := range edges(s, time.Date(y, m, d+n, 0, 0, 0, 0, time.UTC)) {
			switch {
			case !edge.After(at):
			case from.IsZero() && Open(s, edge):
				from = edge
			case !from.IsZero() && !Open(s, edge):
				return from, edge, true
			}
		}
	}
	return from, to, !from.IsZero()
}

// edges are the moments of a day, in order, at which the answer of Open may change.
func edges(s secret.Schedule, date time.Time) (out []time.Time) {
	clocks := []time.Duration{0}
	for _, w := range s.Windows {
		clocks = append(clocks, w.From, w.To)
	}
	for _, clock := range clocks {
		shown, skipped := instants(date, clock, zone(s))
		if len(shown) == 0 {
			shown = []time.Time{skipped}
		}
		out = append(out, shown...)
	}
	// The clocks are changed.
	start := moment(date, 0, zone(s))
	if _, change := start.ZoneBounds(); !change.IsZero() && sameDay(change, start) {
		out = append(out, change)
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}
