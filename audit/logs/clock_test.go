package logs

import (
	"bytes"
	"testing"
	"time"
	_ "time/tzdata" // zones must not depend on what the machine has

	"rekey/audit"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// On the 25th of October 2026 Berlin's clocks show the hour from 2 to 3 twice, first in
// summer time (0:30 UTC), then in winter time (1:30 UTC). A line from it may be either,
// and is the one that was asked for.
func TestHourThatClocksShowTwice(t *testing.T) {
	t.Parallel()
	at := func(hour, minute int) time.Time { return time.Date(2026, 10, 25, hour, minute, 0, 0, time.UTC) }
	for _, tt := range []struct {
		name, line   string
		since, until time.Time
		want         time.Time
	}{
		{"both are asked for: the earlier", "2026-10-25 02:30:00 x", at(0, 0), at(5, 0), at(0, 30)},
		{"neither is: the earlier", "2026-10-25 02:30:00 x", at(4, 0), at(5, 0), at(0, 30)},
		{"the later alone is", "2026-10-25 02:30:00 x", at(1, 0), at(5, 0), at(1, 30)},
		{"the earlier alone is", "2026-10-25 02:30:00 x", at(0, 0), at(1, 0), at(0, 30)},
		{"the hour before is there once", "2026-10-25 01:59:59 x", at(0, 0), at(5, 0), time.Date(2026, 10, 24, 23, 59, 59, 0, time.UTC)},
		{"the hour after, too", "2026-10-25 03:00:00 x", at(0, 0), at(5, 0), at(2, 0)},
		{"a line that says which", "2026-10-25 02:30:00+02:00 x", at(1, 0), at(5, 0), at(0, 30)},
		{"without a year", "Oct 25 02:30:00 web1 x", at(1, 0), at(5, 0), at(1, 30)},
		{"an hour that clocks leave out", "2026-03-29 02:30:00 x", at(1, 0), at(5, 0), time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)},
	} {
		c := clock{zone: zone(t, "Europe/Berlin"), latest: at(5, 0), window: audit.Window{Since: tt.since, Until: tt.until}}
		if got, ok := stamp([]byte(tt.line), c); !ok || !got.Equal(tt.want) {
			t.Errorf("%s: %s, %v; want %s", tt.name, got, ok, tt.want)
		}
	}
}

// A log in local time is searched for a window in the repeated hour by bisection, too.
func TestRepeatedHourIsFoundByBisection(t *testing.T) {
	t.Parallel()
	berlin := zone(t, "Europe/Berlin")
	var data bytes.Buffer
	begin := time.Date(2026, 10, 24, 20, 0, 0, 0, time.UTC)
	for at := begin; at.Before(begin.Add(12 * time.Hour)); at = at.Add(30 * time.Second) {
		data.WriteString(at.In(berlin).Format("2006-01-02 15:04:05") + " Unauthorized: /x\n")
	}
	l := openData(t, t.TempDir(), data.Bytes(), Django, &sizes{block: 4096, line: 200, tail: 100, budget: 1 << 20})
	defer func() { _ = l.Close() }()
	since := time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC)
	q := Query{Zone: berlin, Window: audit.Window{Since: since, Until: since.Add(time.Hour)}}
	got, _, err := scanAll(l, q)
	// Both passes of the hour are told: which line is of which, nobody can say.
	if err != nil || len(got) != 240 {
		t.Errorf("%d records, error %v; want 240, none", len(got), err)
	}
}

func TestNewYear(t *testing.T) {
	t.Parallel()
	lines := "Dec 31 23:59:58 web1 django: Unauthorized: /old\nJan  1 00:00:02 web1 django: Unauthorized: /new\n"
	l := openData(t, t.TempDir(), []byte(lines), Auto, nil)
	defer func() { _ = l.Close() }()
	got, stats, err := scanAll(l, Query{})
	if err != nil || len(got) != 2 || got[0].At.Year() != 2025 || got[1].At.Year() != 2026 || !stats.Ordered {
		t.Errorf("%+v, %+v, %v", got, stats, err)
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"1795376118":                     "2026-11-22T19:35:18Z",
		"1795376118.5":                   "2026-11-22T19:35:18.5Z",
		"1795376118.123456789123":        "2026-11-22T19:35:18.123456789Z",
		"1795376118123":                  "2026-11-22T19:35:18.123Z",
		"1795376118123.5":                "2026-11-22T19:35:18.1235Z",
		"1795376118123456":               "2026-11-22T19:35:18.123456Z",
		"1795376118123456789":            "2026-11-22T19:35:18.123456789Z",
		"1.795376118e9":                  "2026-11-22T19:35:18Z",
		"2026-11-22T19:35:18.1Z":         "2026-11-22T19:35:18.1Z",
		" [22/Nov/2026:19:35:18 +0100] ": "2026-11-22T18:35:18Z",
		"22/Nov/2026:19:35:18 +0100":     "2026-11-22T18:35:18Z",
		"Sun, 22 Nov 2026 19:35:18 GMT":  "2026-11-22T19:35:18Z",
		"Sun Nov 22 19:35:18 2026":       "2026-11-22T19:35:18Z",
		"Nov 22 19:35:18":                "2026-11-22T19:35:18Z",
		"2026/11/22 19:35:18.250":        "2026-11-22T19:35:18.25Z",
		"12":                             "",
		"12.5":                           "",
		"401":                            "",
		"1e400":                          "",
		"99999999999999999999":           "",
		"1795376118x":                    "",
		"":                               "",
		"-":                              "",
		"now":                            "",
	} {
		at, ok := clock{latest: written}.value([]byte(in))
		got := ""
		if ok {
			got = at.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// FuzzStamp: whatever a line holds, its time is one of the calendar, in UTC, and what was
// printed can be read again.
func FuzzStamp(f *testing.F) {
	for _, c := range formats {
		for _, line := range seeds(f, c) {
			f.Add(line)
		}
	}
	c := clock{zone: zone(f, "Europe/Berlin"), latest: written}
	f.Fuzz(func(t *testing.T, line []byte) {
		for name, read := range map[string]func() (time.Time, bool){
			"stamp": func() (time.Time, bool) { return stamp(line, c) }, "value": func() (time.Time, bool) { return c.value(line) },
			"header": func() (time.Time, bool) { _, at := header(line, c); return at, !at.IsZero() },
		} {
			at, ok := read()
			if !ok {
				continue
			}
			if at.Location() != time.UTC || at.Year() < 1969 || at.Year() > 9999+1 {
				t.Errorf("%s: %s", name, at)
			}
			if again, ok := c.value([]byte(at.Format(time.RFC3339Nano))); at.Year() <= 9999 && (!ok && at.Year() > 1969 || ok && !again.Equal(at)) {
				t.Errorf("%s: %s is read as %s, %v", name, at, again, ok)
			}
		}
	})
}

// TestDays holds the calendar against Go's, in all years a stamp of four digits can name.
func TestDays(t *testing.T) {
	t.Parallel()
	for at := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 10000; at = at.AddDate(0, 0, 1) {
		year, month, day := at.Date()
		if got, want := days(year, month, day), at.Unix()/86400; got != want {
			t.Fatalf("%v is day %d, want %d", at, got, want)
		}
		if last := at.AddDate(0, 0, 1).Day() == 1; last != (day == daysIn(year, month)) {
			t.Fatalf("%v is the last of its month: %t, but it has %d days", at, last, daysIn(year, month))
		}
	}
}
