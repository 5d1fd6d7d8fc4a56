package schedule_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/commands"
	"rekey/commands/schedule"
	"rekey/commands/secret"
)

// estate has a secret of each kind that the digest tells apart.
func estate(t *testing.T) (*secret.Catalogue, []commands.SecretRow) {
	t.Helper()
	zone := location(t, "Europe/Berlin")
	cat := &secret.Catalogue{
		Environments: []secret.Environment{{Name: "production"}, {Name: "staging"}},
		Secrets: []secret.Secret{
			{Name: "BY_ITSELF", Procedure: secret.HMACOverlap, Automatic: true},
			{Name: "BY_HAND", Procedure: secret.Manual, Automatic: true},
			{Name: "ASKED", Procedure: secret.HMACOverlap},
		},
		Schedule: secret.Schedule{
			Zone: zone, Digest: 9 * time.Hour,
			Windows: []secret.Window{{Days: []time.Weekday{time.Tuesday}, From: 10 * time.Hour, To: 12 * time.Hour}},
			Blackouts: []secret.Blackout{
				{From: time.Date(2026, 11, 20, 0, 0, 0, 0, zone), To: time.Date(2026, 12, 3, 0, 0, 0, 0, zone), Why: "launch"},
				{From: time.Date(2026, 12, 20, 0, 0, 0, 0, zone), To: time.Date(2027, 1, 2, 0, 0, 0, 0, zone), Why: "holidays"},
			},
		},
	}
	row := func(name, in, due string) commands.SecretRow {
		r := commands.SecretRow{Name: name, Environment: in, Owner: "DevOps", LastRotated: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		if due != "" {
			at, err := time.Parse(time.DateOnly, due)
			if err != nil {
				t.Fatal(err)
			}
			r.NextDue = at
		}
		return r
	}
	rows := []commands.SecretRow{
		row("ASKED", "production", "2026-12-11"), // later than 14 days
		row("BY_HAND", "production", "2026-11-25"),
		row("BY_ITSELF", "production", "2026-11-01"),
		row("ASKED", "staging", "2026-12-10"), // the last day that counts
		row("BY_ITSELF", "staging", "2026-11-26"),
		row("BY_HAND", "staging", ""),
		row("GONE", "production", "2026-12-01"),
	}
	rows[2].First = "staging"
	rows[6].Active = "r-1"
	return cat, rows
}

func TestWhatTheDigestSays(t *testing.T) {
	t.Parallel()
	cat, rows := estate(t)
	now := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	waiting := []commands.DigestRun{{Run: "r-9", Secret: "ASKED", Environment: "staging", Says: "Delete it."}}
	got := schedule.Digest(cat, rows, waiting, now)
	day := func(s string) time.Time {
		at, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	wall := func(s string) time.Time {
		at, err := time.ParseInLocation("2006-01-02 15:04", s, cat.Schedule.Zone)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	last := rows[0].LastRotated
	want := commands.DailyDigest{
		At: wall("2026-11-26 09:00"), Day: "2026-11-26", Until: wall("2026-11-27 00:00"), Zone: "Europe/Berlin",
		Overdue: []commands.DigestRow{
			// Production waits for staging, so that is what to type, and nothing starts here.
			{Secret: "BY_ITSELF", Environment: "production", Owner: "DevOps", NextDue: day("2026-11-01"), Days: 25, LastRotated: last, First: "staging", Command: "/rotate BY_ITSELF routine in staging"},
			{Secret: "BY_HAND", Environment: "production", Owner: "DevOps", NextDue: day("2026-11-25"), Days: 1, LastRotated: last, ByHand: true},
			// Its window of 1 December is blacked out.
			{
				Secret: "BY_ITSELF", Environment: "staging", Owner: "DevOps", NextDue: day("2026-11-26"), LastRotated: last,
				Command: "/rotate BY_ITSELF routine in staging", From: wall("2026-12-08 10:00"), To: wall("2026-12-08 12:00"),
			},
		},
		Due: []commands.DigestRow{
			{Secret: "GONE", Environment: "production", Owner: "DevOps", NextDue: day("2026-12-01"), Days: 5, Run: "r-1"},
			{Secret: "ASKED", Environment: "staging", Owner: "DevOps", NextDue: day("2026-12-10"), Days: 14, Command: "/rotate ASKED routine in staging"},
		},
		Waiting:   waiting,
		Blackouts: []commands.DigestBlackout{{From: "2026-11-20", To: "2026-12-03", Why: "launch", Now: true}},
		Next:      &commands.DigestRow{Secret: "ASKED", Environment: "production", Owner: "DevOps", NextDue: day("2026-12-11"), Days: 15, Command: "/rotate ASKED routine in production"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Automatic() != 1 || got.Empty() || got.Silent() {
		t.Errorf("%d start by themselves, empty %v, silent %v", got.Automatic(), got.Empty(), got.Silent())
	}

	// What is kept until it is told is the same, by the same clocks.
	memo, err := got.Memo()
	if err != nil {
		t.Fatal(err)
	}
	read, err := commands.ReadDigest(memo)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, read); diff != "" {
		t.Errorf("kept and read (-want +got):\n%s", diff)
	}
	if a, b := got.Overdue[2].From.Format("15:04"), read.Overdue[2].From.Format("15:04"); a != b {
		t.Errorf("the window opens at %s, and after it was kept at %s", a, b)
	}

	cat.Environments = cat.Environments[:1] // there is nothing to choose
	if c := schedule.Digest(cat, rows[3:4], nil, now).Due[0].Command; c != "/rotate ASKED routine" {
		t.Errorf("the command is %q", c)
	}
}

// What is not due yet does not start in a window before.
func TestWhatIsDueLaterStartsInAWindowAfter(t *testing.T) {
	t.Parallel()
	cat, rows := estate(t)
	cat.Schedule.Blackouts = nil
	now := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	rows = rows[4:5]
	rows[0].NextDue = time.Date(2026, 12, 1, 10, 30, 0, 0, time.UTC) // 11:30 in Berlin, a Tuesday
	d := schedule.Digest(cat, rows, nil, now)
	if from, to := d.Due[0].From.Format(time.DateTime), d.Due[0].To.Format(time.DateTime); from != "2026-12-01 11:30:00" || to != "2026-12-01 12:00:00" {
		t.Errorf("it starts from %s until %s", from, to)
	}
}

func TestAnEmptyDigestIsSilentButOnMondays(t *testing.T) {
	t.Parallel()
	cat, rows := estate(t)
	for n := range 14 {
		now := time.Date(2026, 11, 23+n, 22, 59, 0, 0, time.UTC) // one minute before midnight in Berlin
		d := schedule.Digest(cat, rows[5:6], nil, now)
		if monday := n%7 == 0; !d.Empty() || d.Silent() == monday {
			t.Errorf("%s: silent is %v", d.Day, d.Silent())
		}
	}
}
