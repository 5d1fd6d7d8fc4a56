package inspect

import (
	"time"

	"rekey/audit"
	"rekey/audit/logs"
)

// steps are the lengths a slot may have: those that divide clocks.
var steps = []time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

// newTimeline has a slot for every stretch of the window; a window too long for the
// longest step shows its end.
func newTimeline(w audit.Window) *audit.Timeline {
	t := &audit.Timeline{Step: steps[len(steps)-1]}
	for _, step := range steps {
		if w.Until.Sub(w.Since.Truncate(step)) <= audit.MaxSlots*step {
			t.Step = step
			break
		}
	}
	at := w.Since.UTC().Truncate(t.Step)
	if first := w.Until.UTC().Truncate(t.Step).Add(-(audit.MaxSlots - 1) * t.Step); at.Before(first) {
		at = first
	}
	for ; at.Before(w.Until); at = at.Add(t.Step) {
		t.Slots = append(t.Slots, audit.Slot{At: at})
	}
	return t
}

func count(t *audit.Timeline, e *logs.Event, ours bool) {
	if len(t.Slots) == 0 || e.At.Before(t.Slots[0].At) {
		return
	}
	i := int(e.At.Sub(t.Slots[0].At) / t.Step)
	if i >= len(t.Slots) {
		return
	}
	s := &t.Slots[i]
	switch accepted := e.Kind == audit.Used; {
	case ours && accepted:
		s.OursAccepted++
	case ours:
		s.OursRefused++
	case accepted:
		s.StrangersAccepted++
	default:
		s.StrangersRefused++
	}
}
