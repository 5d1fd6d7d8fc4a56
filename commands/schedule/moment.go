package schedule

import (
	"slices"
	"time"

	"rekey/commands/secret"
)

// DigestDay answers the date whose digest is to be sent at a moment, as
// time.DateOnly writes it. ok is false while today's time has not come, and where no
// digest is wanted. It stays the same until midnight, so a process that was down at the
// time of day finds out later that day.
func DigestDay(s secret.Schedule, now time.Time) (day string, ok bool) {
	if s.Digest < 0 {
		return "", false
	}
	now = now.In(zone(s))
	// The hour before midnight may be the one that a day skips (Nuuk, in March): its
	// digest is then sent right after, which is on the next day.
	for _, ago := range []int{0, 1} {
		y, m, d := now.Date()
		date := time.Date(y, m, d-ago, 0, 0, 0, 0, time.UTC)
		at := moment(date, s.Digest, now.Location())
		if sameDay(at, now) && !now.Before(at) {
			return date.Format(time.DateOnly), true
		}
	}
	return "", false
}

// EndOfDay is the first moment of the day after.
func EndOfDay(s secret.Schedule, now time.Time) time.Time {
	now = now.In(zone(s))
	y, m, d := now.Date()
	return moment(time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC), 0, now.Location())
}

func zone(s secret.Schedule) *time.Location {
	if s.Zone == nil {
		return time.UTC
	}
	return s.Zone
}

func sameDay(a, b time.Time) bool {
	return a.Format(time.DateOnly) == b.Format(time.DateOnly)
}

// moment is when the clocks in a zone show a time of day, for the first time where they
// do so twice; where they skip it, it is the moment right after. The date is its
// midnight in UTC. time.Date promises neither.
func moment(date time.Time, clock time.Duration, in *time.Location) time.Time {
	shown, skipped := instants(date, clock, in)
	if len(shown) == 0 {
		return skipped
	}
	return shown[0]
}

// instants answers every moment at which the clocks show a time of day, in order; where
// there is none, when they jump over it.
func instants(date time.Time, clock time.Duration, in *time.Location) (shown []time.Time, skipped time.Time) {
	wall := date.Add(clock)
	// No zone is a day away from UTC, so between these two lies whatever is shown as wall,
	// and at most one change of the clocks.
	before, after := wall.Add(-24*time.Hour).In(in), wall.Add(24*time.Hour).In(in)
	for _, t := range []time.Time{before, after} {
		_, offset := t.Zone()
		at := wall.Add(-time.Duration(offset) * time.Second).In(in)
		if _, o := at.Zone(); o == offset && !slices.ContainsFunc(shown, at.Equal) {
			shown = append(shown, at)
		}
	}
	slices.SortFunc(shown, time.Time.Compare)
	if len(shown) == 0 {
		_, skipped = before.ZoneBounds()
	}
	return shown, skipped
}
