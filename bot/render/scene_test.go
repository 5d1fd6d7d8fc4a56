package render_test

import (
	"net/netip"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/commands"
)

// at is a moment of the incident all scenes play in.
func at(seconds float64) time.Time {
	return time.Date(2026, 11, 22, 2, 11, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

func compromised(state ledger.RunState) render.Scene {
	s := render.Scene{
		Run: ledger.Run{
			ID: "r-7f3a", Kind: ledger.KindRotate, Secret: "REVALIDATE_SECRET", Environment: "production",
			Mode: "compromised", Reason: "found in a CI log <https://ci.example.com|build 812>", Actor: "slack:U0ALICE (alice)",
			Incident: "r-7f3a", State: state, CreatedAt: at(0), StartedAt: at(0.4), Version: 3,
		},
		Now: at(14.2),
	}
	for i, title := range []string{
		"Check that every service can be asked", "Make the new value", "Let django accept the new value too",
		"Test django", "Sign with the new value in nextjs", "Test nextjs", "Retire the old value", "Prove that the old value is refused",
	} {
		s.Steps = append(s.Steps, ledger.Step{Run: "r-7f3a", Index: i, Key: "step/" + title[:4], Title: title, State: ledger.StepPending})
	}
	s.Anchor.Seq = 41
	for i := range s.Anchor.Hash {
		s.Anchor.Hash[i] = byte(i * 7)
	}
	return s
}

// reach marks the first n steps done, two seconds each.
func reach(s render.Scene, n int) render.Scene {
	for i := range n {
		s.Steps[i].State = ledger.StepDone
		s.Steps[i].Started, s.Steps[i].Ended = at(0.5+2*float64(i)), at(2.3+2*float64(i))
	}
	return s
}

func running() render.Scene {
	s := reach(compromised(ledger.Running), 3)
	s.Steps[2].Note = "django: written and reloaded"
	s.Steps[3].State, s.Steps[3].Started, s.Steps[3].Note = ledger.StepRunning, at(8.1), "3 of 4 workers accept the new value"
	return s
}

func rolledBack() render.Scene {
	s := reach(compromised(ledger.RolledBack), 3)
	s.Steps[3].State, s.Steps[3].Started, s.Steps[3].Ended = ledger.StepFailed, at(8.1), at(38.1)
	s.Steps[3].Note = "django: 1 of 4 workers still refuses the new value after 30 s."
	s.Steps[2].State = ledger.StepUndone
	for i := 4; i < len(s.Steps); i++ {
		s.Steps[i].State = ledger.StepSkipped
	}
	s.Run.Problem = "django: 1 of 4 workers still refuses the new value after 30 s."
	s.Run.EndedAt, s.Now = at(44), at(50)
	return s
}

func succeeded(report *audit.Report) render.Scene {
	s := reach(compromised(ledger.Succeeded), 8)
	s.Run.EndedAt, s.Now, s.Report = at(19.6), at(30), report
	return s
}

func waiting() render.Scene {
	s := reach(compromised(ledger.Waiting), 6)
	s.Run.Mode, s.Run.Reason, s.Run.WakeAt = "routine", "quarterly rotation", at(86400)
	return s
}

// standing is a run that stops before the end of the old value; d amends the decision.
func standing(t *testing.T, amend func(*commands.Respite)) render.Scene {
	t.Helper()
	s := reach(compromised(ledger.Waiting), 6)
	d := commands.Respite{
		Open: true, Until: at(45), LastSeen: at(25), SeenAt: at(25),
		Seen: "10.0.0.7 (3 times, last at 02:11:24 UTC), 18 times a minute, and by 203.0.113.66 (2 times, last at 02:11:23 UTC), whom the catalogue does not know as a caller",
	}
	if amend != nil {
		amend(&d)
	}
	var err error
	if s.Run.Memo, err = d.Memo(); err != nil {
		t.Fatal(err)
	}
	s.Steps[6].Title, s.Steps[6].State, s.Steps[6].Started = "See who still uses the old value", ledger.StepRunning, at(14)
	s.Steps[6].Note = d.Cost() + " Type /rotate kill r-7f3a to end it now, or /rotate hold r-7f3a for 10 more minutes."
	s.Run.WakeAt, s.Now = at(30), at(25)
	return s
}

func putOff(times int) func(*commands.Respite) {
	return func(d *commands.Respite) { d.Times, d.By, d.Until = times, "slack:U0ALICE (alice)", at(645) }
}

// both is a batch whose members are the scenes.
func both(members ...render.Scene) render.Scene {
	s := compromised(ledger.Running)
	s.Run.ID, s.Run.Kind, s.Run.Secret, s.Steps = "b-7f3a", ledger.KindBatch, "all", nil
	for i, m := range members {
		m.Run.Batch, m.Run.Turn = "b-7f3a", i+1
		s.Members = append(s.Members, m)
	}
	return s
}

func report(o audit.Outcome) *audit.Report {
	r := &audit.Report{
		Secret: "REVALIDATE_SECRET", Environment: "production",
		Window: audit.Window{Since: at(-86400), Until: at(20)},
		Totals: map[audit.Kind]int{audit.InvalidSignature: 12, audit.Denied: 3104}, Strangers: map[audit.Kind]int{audit.InvalidSignature: 12, audit.Denied: 7},
		Addresses: []audit.Tally{
			{Name: "203.0.113.66", Count: 3001, First: at(-7200), Last: at(-60)},
			{Name: "10.0.0.7", Count: 103, First: at(-80000), Last: at(10), Ours: true},
		},
		Paths: []audit.Tally{
			{Name: "/api/revalidate/", Count: 2900, First: at(-7200), Last: at(-60)},
			{Name: "/`<!channel>`/*bold*", Count: 1, First: at(-300), Last: at(-300)},
		},
		Issues: []audit.Issue{{
			ID: "1", ShortID: "API-4F", Title: "PermissionDenied: Invalid signature <!here>", Count: 37, Users: 2,
			First: at(-7000), Last: at(-90), Link: "https://sentry.example.com/1",
		}},
		Read: []string{"security.log (2.1 MB, 8,112 lines in the window)", "access.log (40 MB, 120,000 lines in the window)"},
	}
	switch o {
	case audit.NoSign:
		r.Verdict = audit.Verdict{Outcome: o, Sentence: "No sign of misuse between 2026-11-21 02:11 and 2026-11-22 02:11 UTC.", Reasons: []string{"every log was read to the start of the window"}}
	case audit.Refused:
		r.Verdict = audit.Verdict{Outcome: o, Sentence: "203.0.113.66 tried 12 times and was refused every time.", Reasons: []string{"12 refused signatures", "no accepted request from an address that is not ours"}}
	case audit.Misused:
		r.Totals[audit.Used], r.Strangers[audit.Used] = 12, 12
		r.Findings = []audit.Finding{{Kind: audit.Used, At: at(-60), Addr: netip.MustParseAddr("203.0.113.66"), Method: "POST", Path: "/api/revalidate/", Status: 200}}
		r.Verdict = audit.Verdict{
			Outcome: o, Sentence: "Used by an address that is not ours: 203.0.113.66 made 12 accepted requests to /api/revalidate/ between 02:11 and 02:14 UTC.",
			Reasons: []string{"12 accepted requests from 203.0.113.66"}, Confidence: audit.High,
			Changes: []string{"If 203.0.113.66 belongs to you, list it under callers in the catalogue and audit again."},
		}
		r.Visitors = []audit.Visitor{
			{
				Addr: "203.0.113.66", Accepted: 12, Refused: 7, RefusedFirst: 6, First: at(-7200), Last: at(-30), Entered: at(-600), LastIn: at(-60),
				Elsewhere: 3, Peak: 9, Agents: []string{"curl/8.5.0", "=cmd|' /C calc'!A0 `<!here>`"}, Paths: []string{"/api/revalidate/"}, Unusual: []string{"its address was never seen before"},
			},
			{Addr: "10.0.0.7", Ours: true, Accepted: 9013, First: at(-80000), Last: at(10), Entered: at(-80000), LastIn: at(10), Peak: 12, Agents: []string{"node"}},
		}
		r.Exposed = []audit.Exposure{{Source: "app.log:812", Whole: true, Text: "key=[masked] <!here>"}}
	case audit.CannotTell:
		r.Gaps = []audit.Gap{{Source: "access.log", Why: "The file cannot be read: permission denied. Let rekey's user read it."}}
		r.Verdict = audit.Verdict{Outcome: o, Sentence: "Cannot tell: the access log could not be read.", Reasons: []string{"12 refused signatures"}, Missing: []string{"access.log"}}
	}
	return r
}
