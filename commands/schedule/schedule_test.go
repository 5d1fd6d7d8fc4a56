package schedule_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rekey/commands"
	"rekey/commands/schedule"
	"rekey/commands/secret"
)

// Guide: schedule/shown
func TestWhatWantsAttentionComesFirst(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	rows := []commands.SecretRow{{Name: "LATER", NextDue: day(30)}, {Name: "AS_NEEDED"}, {Name: "OVERDUE", NextDue: day(1)}, {Name: "SOON", NextDue: day(23)}}
	var got []string
	for _, r := range schedule.Sorted(rows) {
		got = append(got, r.Name)
	}
	if s := strings.Join(got, " "); s != "OVERDUE SOON LATER AS_NEEDED" {
		t.Errorf("sorted as %s", s)
	}
	if !schedule.Overdue(rows[2], day(22)) || schedule.Overdue(rows[3], day(22)) || schedule.Overdue(rows[1], day(22)) {
		t.Error("the wrong ones are overdue")
	}
}

func berlin(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestWindows(t *testing.T) {
	t.Parallel()
	zone := berlin(t)
	s := secret.Schedule{
		Zone: zone,
		Windows: []secret.Window{
			{Days: []time.Weekday{time.Tuesday}, From: 10 * time.Hour, To: 12 * time.Hour},
			{Days: []time.Weekday{time.Saturday}, From: 23 * time.Hour, To: 2 * time.Hour},
		},
		Blackouts: []secret.Blackout{{From: time.Date(2026, 12, 20, 0, 0, 0, 0, zone), To: time.Date(2027, 1, 2, 0, 0, 0, 0, zone)}},
	}
	for at, open := range map[string]bool{
		"2026-11-24 10:00": true,  // Tuesday
		"2026-11-24 09:59": false, //
		"2026-11-24 12:00": false, // the end is outside
		"2026-11-25 10:30": false, // Wednesday
		"2026-11-28 23:30": true,  // Saturday night
		"2026-11-29 01:30": true,  // still Saturday's
		"2026-11-28 01:30": false, // Friday's night
		"2026-12-22 10:30": false, // a Tuesday blacked out
		"2027-01-02 23:30": false, // the last day counts
		"2027-01-05 10:30": true,
		"2026-03-31 10:30": true, // two days after the clocks were changed
	} {
		moment, err := time.ParseInLocation("2006-01-02 15:04", at, zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := schedule.Open(s, moment.UTC()); got != open {
			t.Errorf("%s: open is %v, want %v", at, got, open)
		}
	}
}

// Whatever the windows, blackouts and zone, nothing starts outside of what a person
// would read on the wall.
func TestNothingStartsOutside(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		day := time.Weekday(rapid.IntRange(0, 6).Draw(t, "day"))
		from := rapid.IntRange(0, 22).Draw(t, "from")
		to := rapid.IntRange(from+1, 23).Draw(t, "to")
		black := time.Date(2026, 1, 1, 0, 0, 0, 0, zone).AddDate(0, 0, rapid.IntRange(0, 700).Draw(t, "blackout"))
		cat := &secret.Catalogue{
			Secrets: []secret.Secret{{Name: "X", Procedure: secret.HMACOverlap, Automatic: true}},
			Schedule: secret.Schedule{
				Zone: zone, Windows: []secret.Window{{Days: []time.Weekday{day}, From: time.Duration(from) * time.Hour, To: time.Duration(to) * time.Hour}},
				Blackouts: []secret.Blackout{{From: black, To: black.AddDate(0, 0, 2)}},
			},
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 700*24*60).Draw(t, "minute")) * time.Minute)
		due := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
		_, starts := schedule.Next(cat, []commands.SecretRow{{Name: "X", Environment: "production", NextDue: due}}, at)
		wall := at.In(zone)
		inside := wall.Weekday() == day && wall.Hour() >= from && wall.Hour() < to
		date := wall.Format(time.DateOnly)
		black0, black2 := black.Format(time.DateOnly), black.AddDate(0, 0, 2).Format(time.DateOnly)
		if want := inside && (date < black0 || date > black2); starts != want {
			t.Fatalf("at %s it starts: %v, want %v", wall, starts, want)
		}
	})
}

func TestWhatStartsByItself(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 10, 30, 0, 0, time.UTC)
	always := secret.Schedule{Zone: time.UTC, Windows: []secret.Window{{To: 24 * time.Hour}}}
	cat := &secret.Catalogue{Schedule: always, Secrets: []secret.Secret{
		{Name: "AUTO", Procedure: secret.HMACOverlap, Automatic: true},
		{Name: "OLDER", Procedure: secret.HMACOverlap, Automatic: true},
		{Name: "BY_HAND", Procedure: secret.Manual, Automatic: true},
		{Name: "ASKED", Procedure: secret.HMACOverlap},
	}}
	row := func(name string, days int, active string) commands.SecretRow {
		return commands.SecretRow{Name: name, Environment: "production", NextDue: now.AddDate(0, 0, -days), Active: active}
	}
	for what, c := range map[string]struct {
		rows []commands.SecretRow
		want string
	}{
		"the longest overdue":         {[]commands.SecretRow{row("AUTO", 1, ""), row("OLDER", 9, "")}, "OLDER"},
		"nothing that is not due":     {[]commands.SecretRow{row("AUTO", -1, "")}, ""},
		"nothing by hand or on call":  {[]commands.SecretRow{row("BY_HAND", 5, ""), row("ASKED", 5, "")}, ""},
		"one at a time":               {[]commands.SecretRow{row("AUTO", 1, ""), row("ASKED", -9, "r-1")}, ""},
		"nothing the catalogue lacks": {[]commands.SecretRow{row("GONE", 5, "")}, ""},
	} {
		if got, _ := schedule.Next(cat, c.rows, now); got.Name != c.want {
			t.Errorf("%s: %q starts, want %q", what, got.Name, c.want)
		}
	}
}

// The calendar is read back by a reader of its own, written from the RFC.
//
// Guide: schedule/shown
func TestCalendar(t *testing.T) {
	t.Parallel()
	rows := []commands.SecretRow{
		{Name: "REVALIDATE_SECRET", Environment: "production", Purpose: "ISR webhook; signs, verifies \\ tells " + strings.Repeat("é", 60), Owner: "DevOps", NextDue: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)},
		{Name: "DATABASE_URL", Environment: "production"},
	}
	text := schedule.ICS(rows, time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC))
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		if len(line) > 75 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d octets: %q", len(line), line)
		}
	}
	const reader = `
import sys
raw = sys.stdin.buffer.read().decode()
assert raw.endswith("\r\n")
lines = raw.replace("\r\n ", "").split("\r\n")[:-1]
assert lines[0] == "BEGIN:VCALENDAR" and lines[-1] == "END:VCALENDAR"
def text(s):
    out, i = "", 0
    while i < len(s):
        if s[i] == "\\":
            out += {"n": "\n"}.get(s[i+1], s[i+1]); i += 2
        else:
            assert s[i] not in ",;"; out += s[i]; i += 1
    return out
for line in lines:
    name, value = line.split(":", 1)
    print(name, "=", text(value).replace("\n", "|") if name in ("SUMMARY", "DESCRIPTION") else value)
`
	cmd := exec.CommandContext(t.Context(), "python3", "-c", reader)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the calendar cannot be read back: %v\n%s", err, out)
	}
	for _, want := range []string{
		"DTSTART;VALUE=DATE = 20261201", "DTEND;VALUE=DATE = 20261202", "DTSTAMP = 20261122T030000Z",
		"SUMMARY = Rotate REVALIDATE_SECRET in production", "ISR webhook; signs, verifies \\ tells éé", "|Owner: DevOps|",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Count(string(out), "BEGIN = VEVENT") != 1 {
		t.Errorf("what is rotated as needed has no date:\n%s", out)
	}
}
