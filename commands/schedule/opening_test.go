package schedule_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"rekey/commands/schedule"
	"rekey/commands/secret"
)

// What is promised to start by itself is what Open would let start: found by looking at
// each minute.
func TestTheNextOpeningIsTheFirstOpenMinute(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone := location(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 365*24*60).Draw(t, "minute")) * time.Minute)
		if _, change := at.In(zone).ZoneBounds(); !change.IsZero() && rapid.Bool().Draw(t, "at a change") {
			at = change.Truncate(time.Minute).Add(-time.Duration(rapid.IntRange(0, 3000).Draw(t, "before")) * time.Minute)
		}
		s := secret.Schedule{Zone: zone}
		for range rapid.IntRange(1, 3).Draw(t, "windows") {
			w := secret.Window{
				From: time.Duration(rapid.IntRange(0, 24*60-1).Draw(t, "from")) * time.Minute,
				To:   time.Duration(rapid.IntRange(0, 24*60-1).Draw(t, "to")) * time.Minute,
			}
			if rapid.Bool().Draw(t, "a day") {
				w.Days = []time.Weekday{time.Weekday(rapid.IntRange(0, 6).Draw(t, "weekday"))}
			}
			if w.From != w.To {
				s.Windows = append(s.Windows, w)
			}
		}
		if rapid.Bool().Draw(t, "blackout") {
			y, m, d := at.In(zone).Date()
			from := time.Date(y, m, d+rapid.IntRange(-1, 3).Draw(t, "blackout from"), 0, 0, 0, 0, zone)
			s.Blackouts = []secret.Blackout{{From: from, To: from.AddDate(0, 0, rapid.IntRange(0, 3).Draw(t, "blackout days"))}}
		}
		var from, to time.Time
		for n := at; n.Before(at.AddDate(0, 0, 20)) && to.IsZero(); n = n.Add(time.Minute) {
			switch open := schedule.Open(s, n); {
			case open && from.IsZero():
				from = n
			case !open && !from.IsZero():
				to = n
			}
		}
		gotFrom, gotTo, ok := schedule.Opening(s, at)
		if from.IsZero() != !ok || !gotFrom.Equal(from) || !to.IsZero() && !gotTo.Equal(to) {
			t.Fatalf("at %v: open from %v to %v (%v), want %v to %v\n%+v", at.In(zone), gotFrom, gotTo, ok, from.In(zone), to.In(zone), s)
		}
	})
}

func TestNothingOpensWithoutAWindow(t *testing.T) {
	t.Parallel()
	if from, _, ok := schedule.Opening(secret.Schedule{}, time.Now()); ok {
		t.Errorf("it opens at %v", from)
	}
	black := secret.Schedule{
		Windows:   []secret.Window{{To: time.Hour}},
		Blackouts: []secret.Blackout{{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)}},
	}
	if from, _, ok := schedule.Opening(black, time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)); ok {
		t.Errorf("it opens at %v, which is blacked out", from)
	}
}
