package chart

import (
	"fmt"
	"strings"

	"rekey/audit"
)

// Alt is the picture in words, for those who cannot see it and for notifications.
func Alt(r audit.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Requests that concern %s in %s", r.Secret, r.Environment)
	if !r.Window.Since.IsZero() {
		fmt.Fprintf(&b, " from %s to %s UTC", stamp(r.Window.Since), stamp(r.Window.Until))
	}
	b.WriteString(". ")
	if len(r.Timeline.Slots) == 0 {
		return b.String() + "Nothing could be counted."
	}
	lanes := lanesOf(r.Timeline.Slots)
	var parts []string
	for _, l := range lanes {
		for _, s := range l.series {
			n := "none"
			if s.total > 0 {
				n = audit.Number(s.total)
				if l.loud {
					n += between(r.Timeline, s.count)
				}
			}
			parts = append(parts, strings.ToLower(s.name[:1])+s.name[1:]+": "+n)
		}
	}
	b.WriteString(strings.ToUpper(parts[0][:1]) + strings.Join(parts, "; ")[1:] + ".")
	for _, m := range r.Timeline.Marks {
		fmt.Fprintf(&b, " %s: %s.", m.At.UTC().Format("2 Jan 15:04:05"), m.What)
	}
	return b.String()
}

// between says in which stretch of the timeline a series is not zero.
func between(t audit.Timeline, count func(audit.Slot) int) string {
	first, last := -1, -1
	for i, s := range t.Slots {
		if count(s) > 0 {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return ""
	}
	return " (between " + stamp(t.Slots[first].At) + " and " + stamp(t.Slots[last].At.Add(t.Step)) + ")"
}
