// Package schedule says what falls due when, and whether rekey may act on it by itself
// now. It is pure: rows and the clock in, decisions and a calendar out. It exists so
// that the table, the calendar and the automatic rotation never disagree.
package schedule

import (
	"cmp"
	"slices"
	"time"

	"rekey/commands"
	"rekey/commands/secret"
)

// Sorted answers rows in the order in which they want attention: overdue and due ones
// by date, those that are rotated as needed last.
func Sorted(rows []commands.SecretRow) []commands.SecretRow {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b commands.SecretRow) int {
		switch {
		case a.NextDue.IsZero() != b.NextDue.IsZero():
			if a.NextDue.IsZero() {
				return 1
			}
			return -1
		case !a.NextDue.Equal(b.NextDue):
			return a.NextDue.Compare(b.NextDue)
		}
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Name, b.Name))
	})
	return rows
}

// Overdue reports that a row's rotation has fallen due.
func Overdue(r commands.SecretRow, now time.Time) bool {
	return !r.NextDue.IsZero() && !now.Before(r.NextDue)
}

// Open reports whether routine rotations may start by themselves at a moment: inside a
// window and on no blacked-out day, both in the schedule's zone.
func Open(s secret.Schedule, at time.Time) bool {
	at = at.In(zone(s))
	if blackedOut(s, at) {
		return false
	}
	for _, w := range s.Windows {
		if within(w, at) {
			return true
		}
	}
	return false
}

func blackedOut(s secret.Schedule, at time.Time) bool {
	for _, b := range s.Blackouts {
		if day := midnight(at); !day.Before(midnight(b.From.In(at.Location()))) && !day.After(midnight(b.To.In(at.Location()))) {
			return true
		}
	}
	return false
}

// within reports whether at lies in the window: on the clock on the wall, so that a
// change to summer time moves nothing. A window past midnight belongs to the day on
// which it began.
func within(w secret.Window, at time.Time) bool {
	clock := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second
	on := func(day time.Weekday) bool { return len(w.Days) == 0 || slices.Contains(w.Days, day) }
	if w.From <= w.To {
		return on(at.Weekday()) && clock >= w.From && clock < w.To
	}
	return on(at.Weekday()) && clock >= w.From || on(at.AddDate(0, 0, -1).Weekday()) && clock < w.To
}

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

// Next answers the rotation that should start by itself now, if any: the longest
// overdue of those that may, one at a time in an environment.
func Next(cat *secret.Catalogue, rows []commands.SecretRow, now time.Time) (commands.SecretRow, bool) {
	if !Open(cat.Schedule, now) {
		return commands.SecretRow{}, false
	}
	busy := map[string]bool{}
	for _, r := range rows {
		if r.Active != "" {
			busy[r.Environment] = true
		}
	}
	for _, r := range Sorted(rows) {
		s, ok := cat.Secret(r.Name)
		if ok && s.Automatic && s.Procedure != secret.Manual && Overdue(r, now) && !busy[r.Environment] {
			return r, true
		}
	}
	return commands.SecretRow{}, false
}
