package render_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rekey/bot/render"
	"rekey/commands"
)

// dueDigest has a row of each kind.
func dueDigest(t *testing.T) commands.DailyDigest {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, zone)
	day := func(n int) time.Time { return time.Date(2026, 11, 26+n, 0, 0, 0, 0, time.UTC) }
	window := time.Date(2026, 12, 1, 10, 0, 0, 0, zone)
	return commands.DailyDigest{
		At: now, Day: "2026-11-26", Until: time.Date(2026, 11, 27, 0, 0, 0, 0, zone), Zone: "Europe/Berlin",
		Overdue: []commands.DigestRow{
			{Secret: "SECRET_KEY", Environment: "production", Owner: "DevOps", NextDue: day(-12), Days: 12, LastRotated: day(-377), Command: "/rotate SECRET_KEY routine in production"},
			{Secret: "REVALIDATE_SECRET", Environment: "production", Owner: "Web", NextDue: day(-1), Days: 1, LastRotated: day(-92), Command: "/rotate REVALIDATE_SECRET routine in production", From: window, To: window.Add(2 * time.Hour)},
			{Secret: "ANALYTICS_SECRET", Environment: "production", NextDue: day(0), LastRotated: day(-91), First: "staging", Command: "/rotate ANALYTICS_SECRET routine in staging"},
			{Secret: "LEGACY_TOKEN", Environment: "production", Owner: "DBA", NextDue: day(0), LastRotated: day(-30), ByHand: true},
		},
		Due: []commands.DigestRow{
			{Secret: "API_TOKEN", Environment: "production", Owner: "Web", NextDue: day(0).Add(12 * time.Hour), Command: "/rotate API_TOKEN routine in production", From: time.Date(2026, 11, 28, 22, 0, 0, 0, zone), To: time.Date(2026, 11, 29, 3, 0, 0, 0, zone)},
			{Secret: "SENTRY_DSN", Environment: "staging", Owner: "DevOps", NextDue: day(14), Days: 14, Run: "r-7f3a"},
		},
		Waiting: []commands.DigestRun{{
			Run: "r-20261124-030000-abcdef", Secret: "EMAIL_HOST_PASSWORD", Environment: "production", By: "slack:U0ALICE (alice)", Asked: day(-2),
			Says: "The old password still works: delete it in the provider's dashboard.",
		}},
		Blackouts: []commands.DigestBlackout{{From: "2026-11-25", To: "2026-11-27", Why: "launch", Now: true}, {From: "2026-12-04", To: "2026-12-04"}},
		Next:      &commands.DigestRow{Secret: "DATABASE_URL", Environment: "production", NextDue: day(200)},
	}
}

// inOrder is a digest of a Monday on which nothing is due.
func inOrder(t *testing.T) commands.DailyDigest {
	t.Helper()
	d := dueDigest(t)
	d.Day, d.Overdue, d.Due, d.Waiting, d.Blackouts = "2026-11-23", nil, nil, nil, d.Blackouts[:1]
	return d
}

// Guide: schedule/digest
func TestDigest(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]commands.DailyDigest{"digest": dueDigest(t), "digest-in-order": inOrder(t)} {
		m := render.Digest(d)
		valid(t, m)
		goldenJSON(t, name, m)
		golden(t, name+".golden.txt", []byte(render.DigestText(d)))
	}
	if m := render.Digest(inOrder(t)); len(m.Blocks) != 1 {
		t.Errorf("%d blocks say that all is in order, want one line", len(m.Blocks))
	}
	d := dueDigest(t)
	d.Overdue[1].From = d.At
	if s := render.DigestText(d); !strings.Contains(s, "starts by itself now until Tue 1 Dec 12:00; sooner:") {
		t.Errorf("a window that is open now is told so:\n%s", s)
	}
	d = dueDigest(t)
	goldenJSON(t, "answer-digest", render.Answer(commands.Answer{Outcome: commands.Told, Verb: commands.Digest, Text: "4 overdue.", Digest: &d}, d.At))
	d = inOrder(t)
	d.Day = "2026-11-26"
	b, err := json.Marshal(render.Answer(commands.Answer{Outcome: commands.Told, Verb: commands.Digest, Text: "0 overdue.", Digest: &d}, d.At))
	if err != nil || !strings.Contains(string(b), "on Mondays only") {
		t.Errorf("whoever asks on a Thursday is told %s (%v)", b, err)
	}
}

func anyDigest() *rapid.Generator[commands.DailyDigest] {
	return rapid.Custom(func(t *rapid.T) commands.DailyDigest {
		d := commands.DailyDigest{At: moment().Draw(t, "at"), Day: nasty().Draw(t, "day"), Zone: nasty().Draw(t, "zone")}
		rows := func(label string) (out []commands.DigestRow) {
			for _, n := range rapid.SliceOfN(nasty(), 0, 90).Draw(t, label) {
				r := commands.DigestRow{Secret: n, Environment: n, Owner: n, NextDue: moment().Draw(t, "due"), Days: rapid.Int().Draw(t, "days"), LastRotated: moment().Draw(t, "last"), Command: n}
				switch rapid.IntRange(0, 4).Draw(t, "kind") {
				case 0:
					r.Run = n
				case 1:
					r.ByHand = true
				case 2:
					r.First = n
				case 3:
					r.From, r.To = moment().Draw(t, "from"), moment().Draw(t, "to")
				}
				out = append(out, r)
			}
			return out
		}
		d.Overdue, d.Due = rows("overdue"), rows("soon")
		for _, n := range rapid.SliceOfN(nasty(), 0, 60).Draw(t, "waiting") {
			d.Waiting = append(d.Waiting, commands.DigestRun{Run: n, Secret: n, Environment: n, By: n, Says: strings.ReplaceAll(n, "`", "")})
			d.Blackouts = append(d.Blackouts, commands.DigestBlackout{From: n, To: n, Why: n, Now: rapid.Bool().Draw(t, "now")})
		}
		if rapid.Bool().Draw(t, "next") {
			d.Next = &commands.DigestRow{Secret: nasty().Draw(t, "next secret"), Environment: "x"}
		}
		return d
	})
}

func TestAnyDigestFitsSlack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := anyDigest().Draw(t, "digest")
		valid(t, render.Digest(d))
		m := render.Answer(commands.Answer{Outcome: commands.Told, Verb: commands.Digest, Text: "0 overdue.", Digest: &d}, d.At)
		valid(t, m)
		if b, err := json.Marshal(m); err != nil || len(b) >= 20*1024 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if s := render.DigestText(d); strings.ContainsAny(s, "\x1b\u202e\r") {
			t.Errorf("a terminal could be steered by %q", s)
		}
	})
}

// Where more are overdue than fit, the longest overdue are shown, the rest is counted,
// and what comes after still has room.
func TestALongDigestKeepsItsParts(t *testing.T) {
	t.Parallel()
	d := dueDigest(t)
	d.Overdue = nil
	for i := range 300 {
		d.Overdue = append(d.Overdue, commands.DigestRow{
			Secret: fmt.Sprintf("SECRET_%03d", i), Environment: "production", Owner: "DevOps", NextDue: d.At, Days: 300 - i,
			Command: fmt.Sprintf("/rotate SECRET_%03d routine in production", i),
		})
	}
	m := render.Digest(d)
	valid(t, m)
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.Count(string(b), "• *SECRET_")
	for _, want := range []string{"300 overdue", "SECRET_000", fmt.Sprintf("… and %d more", 300-shown), "SENTRY_DSN", "delete it", "Blackout", "/rotate schedule"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%q is not said:\n%s", want, b)
		}
	}
	if shown < 10 {
		t.Errorf("only %d are shown", shown)
	}
}
