package logs

import (
	"time"

	"rekey/audit"
)

// clock turns what a log's writer read off its clock into moments.
type clock struct {
	zone *time.Location // of stamps that name none; nil means UTC
	// latest is when the log was last written to. It tells the year of stamps that have
	// none; where it is zero, such a stamp is no time.
	latest time.Time
	// window decides between the two moments an hour may mean that the clock showed
	// twice: the one inside counts, the earlier one if both are or neither is.
	window audit.Window
}

// ahead is how far a line may be dated after its log was last written to: the clocks of
// the two may be in different zones.
const ahead = 24 * time.Hour

// date builds a UTC time and refuses days and hours that do not exist, which time.Date
// would carry over into the next.
func (c clock) date(year int, month time.Month, day, hour, minute, second, nanos int) (time.Time, bool) {
	zone := c.zone
	if zone == nil {
		zone = time.UTC
	}
	t, ok := date(year, month, day, hour, minute, second, nanos, zone, 0)
	if !ok || zone == time.UTC {
		return t, ok
	}
	return c.once(t.In(zone)).UTC(), true
}

// once chooses between the moments t may mean.
func (c clock) once(t time.Time) time.Time {
	_, offset := t.Zone()
	if begins, _ := t.ZoneBounds(); !begins.IsZero() {
		_, was := begins.Add(-1).Zone()
		if earlier := t.Add(-time.Duration(was-offset) * time.Second); was > offset && earlier.Before(begins) {
			t, offset = earlier, was
		}
	}
	_, ends := t.ZoneBounds()
	if ends.IsZero() {
		return t
	}
	_, next := ends.Zone()
	later := t.Add(time.Duration(offset-next) * time.Second)
	if next >= offset || later.Before(ends) || within(c.window, t) || !within(c.window, later) {
		return t
	}
	return later
}

func within(w audit.Window, at time.Time) bool {
	return !at.Before(w.Since) && (w.Until.IsZero() || at.Before(w.Until))
}

// yearless is the newest moment of that date that is not after the log's last writing: a
// log that goes over New Year needs no more, and the 29th of February finds its year.
func (c clock) yearless(month time.Month, day, hour, minute, second, nanos int) (time.Time, bool) {
	if c.latest.IsZero() {
		return time.Time{}, false
	}
	newest := c.latest.Year() + 1
	for year := newest; year > newest-10; year-- {
		if t, ok := c.date(year, month, day, hour, minute, second, nanos); ok && !t.After(c.latest.Add(ahead)) {
			return t, true
		}
	}
	return time.Time{}, false
}
