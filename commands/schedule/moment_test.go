package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rekey/commands/schedule"
	"rekey/commands/secret"
)

// zones are those whose clocks do unusual things, and some that do not.
var zones = []string{
	"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", // by half an hour
	"America/Nuuk",         // jumps over the last hour of a day
	"Africa/Cairo",         // jumps over the first hour of a day
	"America/Havana",       // has its first hour twice
	"Pacific/Apia",         // is a day ahead
	"Antarctica/Troll",     // by two hours
	"Africa/Casablanca",    // four times a year in some
	"America/Scoresbysund", // changed its zone at a change of the clocks
}

func location(t interface{ Fatal(...any) }, name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestWhenTheDigestIsDue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, clock, at, day string // at is in UTC; day "" means not due
	}{
		{"Europe/Berlin", "09:00", "2026-11-26 07:59", ""},
		{"Europe/Berlin", "09:00", "2026-11-26 08:00", "2026-11-26"},
		{"Europe/Berlin", "09:00", "2026-11-26 22:59", "2026-11-26"}, // was down, the same day
		{"Europe/Berlin", "09:00", "2026-11-26 23:00", ""},           // the next day
		{"Europe/Berlin", "00:00", "2026-11-26 23:00", "2026-11-27"},
		// 29 March: 01:59 is followed by 03:00.
		{"Europe/Berlin", "02:30", "2026-03-29 00:59", ""},
		{"Europe/Berlin", "02:30", "2026-03-29 01:00", "2026-03-29"},
		{"Europe/Berlin", "09:00", "2026-03-29 06:59", ""},
		{"Europe/Berlin", "09:00", "2026-03-29 07:00", "2026-03-29"},
		// 25 October: 02:30 is twice, at 00:30 and 01:30 UTC. Between, it stays that day's.
		{"Europe/Berlin", "02:30", "2026-10-25 00:29", ""},
		{"Europe/Berlin", "02:30", "2026-10-25 00:30", "2026-10-25"},
		{"Europe/Berlin", "02:30", "2026-10-25 01:10", "2026-10-25"},
		{"Europe/Berlin", "02:30", "2026-10-25 01:30", "2026-10-25"},
		// Lord Howe, 4 October: 02:00 becomes 02:30.
		{"Australia/Lord_Howe", "02:15", "2026-10-03 15:29", ""},
		{"Australia/Lord_Howe", "02:15", "2026-10-03 15:30", "2026-10-04"},
		// Nuuk, 28 March: 22:59 is followed by 00:00 of the 29th.
		{"America/Nuuk", "23:30", "2026-03-29 00:59", ""},
		{"America/Nuuk", "23:30", "2026-03-29 01:00", "2026-03-28"},
		{"America/Nuuk", "23:30", "2026-03-30 00:29", "2026-03-28"},
		{"America/Nuuk", "23:30", "2026-03-30 00:30", "2026-03-29"},
		// Cairo, 24 April: 23:59 is followed by 01:00.
		{"Africa/Cairo", "00:30", "2026-04-23 21:59", "2026-04-23"},
		{"Africa/Cairo", "00:30", "2026-04-23 22:00", "2026-04-24"},
	} {
		at, err := time.Parse("2006-01-02 15:04", c.at)
		if err != nil {
			t.Fatal(err)
		}
		day, ok := schedule.DigestDay(secret.Schedule{Zone: location(t, c.zone), Digest: clock(t, c.clock)}, at)
		if day != c.day || ok != (c.day != "") {
			t.Errorf("%s in %s at %s UTC: the digest of %q is due, want %q", c.clock, c.zone, c.at, day, c.day)
		}
	}
	if day, ok := schedule.DigestDay(secret.Schedule{Digest: -1}, time.Now()); ok {
		t.Errorf("switched off, the digest of %s is due", day)
	}
}

func clock(t *testing.T, s string) time.Duration {
	t.Helper()
	at, err := time.Parse("15:04", s)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
}

// Somebody looks at every minute of four days, as rekey does. Each day gets its digest
// once; at the minute that a clock on the wall shows, or, where no clock shows it that
// day, at the first minute after the jump.
func TestEachDayHasOneDigest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone := location(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		minute := rapid.IntRange(0, 24*60-1).Draw(t, "clock")
		s := secret.Schedule{Zone: zone, Digest: time.Duration(minute) * time.Minute}
		// Near a change of the clocks, most of the time.
		start := time.Date(2023, 1, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 1500).Draw(t, "day"))
		if _, change := start.In(zone).ZoneBounds(); !change.IsZero() && rapid.IntRange(0, 4).Draw(t, "anywhere") > 0 {
			start = change.Add(-time.Duration(rapid.IntRange(36, 60).Draw(t, "before")) * time.Hour)
		}
		start = start.Truncate(time.Minute)
		shown := map[string]time.Time{} // when a clock shows the time, by date
		sent := map[string]time.Time{}
		var dates []string
		before := ""
		for at := start; at.Before(start.Add(4 * 24 * time.Hour)); at = at.Add(time.Minute) {
			wall := at.In(zone)
			date := wall.Format(time.DateOnly)
			if len(dates) == 0 || dates[len(dates)-1] != date {
				dates = append(dates, date)
			}
			stamp := fmt.Sprintf("%s %s", date, wall.Format("15:04"))
			want := func(day string) string { return fmt.Sprintf("%s %02d:%02d", day, minute/60, minute%60) }
			for _, d := range dates[max(0, len(dates)-2):] {
				if _, known := shown[d]; !known && before != "" && before < want(d) && stamp >= want(d) {
					shown[d] = at
				}
			}
			before = stamp
			if day, ok := schedule.DigestDay(s, at); ok {
				if _, twice := sent[day]; !twice {
					sent[day] = at
				}
			}
		}
		for _, date := range dates[1 : len(dates)-1] {
			if !sent[date].Equal(shown[date]) {
				t.Fatalf("%02d:%02d of %s in %s: sent at %v, want %v", minute/60, minute%60, date, zone, sent[date].In(zone), shown[date].In(zone))
			}
		}
	})
}

// A digest is good until the next day begins, whatever the clocks do at midnight.
func TestWhereADayEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone := location(t, rapid.SampledFrom(zones).Draw(t, "zone"))
		at := time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 1500*24*60).Draw(t, "minute")) * time.Minute)
		if _, change := at.In(zone).ZoneBounds(); !change.IsZero() && rapid.Bool().Draw(t, "at a change") {
			at = change.Add(time.Duration(rapid.IntRange(-1500, 1500).Draw(t, "from it")) * time.Minute)
		}
		end := schedule.EndOfDay(secret.Schedule{Zone: zone}, at)
		today, before, then := at.In(zone).Format(time.DateOnly), end.Add(-time.Second).In(zone).Format(time.DateOnly), end.In(zone).Format(time.DateOnly)
		if !end.After(at) || before != today || then <= today {
			t.Fatalf("%v ends at %v, where the date goes from %s to %s", at.In(zone), end, before, then)
		}
	})
}
