package render_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/slack-go/slack"
	"pgregory.net/rapid"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/commands"
)

// failer is what testing.T and rapid.T share.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// valid holds a message against Slack's published limits, and against markup that
// nobody here has written.
func valid(t failer, m render.Message) {
	t.Helper()
	if m.Text == "" || units(m.Text) > 4000 {
		t.Errorf("text has %d characters", units(m.Text))
	}
	if len(m.Blocks) == 0 || len(m.Blocks) > 50 {
		t.Errorf("%d blocks", len(m.Blocks))
	}
	total := 0
	check := func(o *slack.TextBlockObject, most int) {
		n := units(o.Text)
		total += n
		if n < 1 || n > most {
			t.Errorf("a text of %d characters where 1 to %d are allowed: %.80q", n, most, o.Text)
		}
		if !utf8.ValidString(o.Text) {
			t.Errorf("text is no UTF-8: %q", o.Text)
		}
		if o.Type == slack.MarkdownType {
			if !o.Verbatim {
				t.Errorf("Slack would make links and mentions of its own in %q", o.Text)
			}
			harmless(t, asker.ReplaceAllString(o.Text, ""))
		}
	}
	for _, b := range m.Blocks {
		switch b := b.(type) {
		case *slack.HeaderBlock:
			check(b.Text, 150)
		case *slack.SectionBlock:
			check(b.Text, 3000)
		case *slack.ContextBlock:
			for _, e := range b.ContextElements.Elements {
				check(e.(*slack.TextBlockObject), 3000)
			}
		case *slack.DividerBlock:
		case *slack.ActionBlock:
			for _, e := range b.Elements.ElementSet {
				button := e.(*slack.ButtonBlockElement)
				check(button.Text, 75)
				if units(button.Value) > 2000 {
					t.Errorf("a button's value of %d characters where 2000 are allowed", units(button.Value))
				}
				if c := button.Confirm; c != nil {
					check(c.Title, 100)
					check(c.Text, 300)
					check(c.Confirm, 30)
					check(c.Deny, 30)
				}
			}
		default:
			t.Errorf("unexpected block %T", b)
		}
	}
	harmless(t, m.Text)
	if total > 12000 {
		t.Errorf("%d characters in all", total)
	}
}

// asker is the one mention that is made on purpose.
var asker = regexp.MustCompile(`^<@U0ALICE> `)

var entity = regexp.MustCompile(`&(amp|lt|gt);`)

// harmless: no angle bracket (mention, link) and no broken entity.
func harmless(t failer, s string) {
	t.Helper()
	if strings.ContainsAny(s, "<>") {
		t.Errorf("a link or mention could be in %q", s)
	}
	if strings.Contains(entity.ReplaceAllString(s, ""), "&") {
		t.Errorf("an entity is broken in %q", s)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f || r == 0x202e || r == 0x200b }) {
		t.Errorf("control characters in %q", s)
	}
	for _, line := range strings.Split(s, "\n") {
		if strings.Count(line, "`")%2 != 0 {
			t.Errorf("a code span is left open in %q", line)
		}
	}
}

// nasty is text as an attacker or a broken program would have it.
func nasty() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringN(0, 40, 120),
		rapid.SampledFrom([]string{
			"", " ", "<!channel>", "<@U123>", "`", "```", "&amp", "&", "@here", "https://evil.example", "*_~", "\x00\x1b[31m", "\u202e", "\u200b", "é", "👩‍👩‍👧", "\xff\xfe", "a\nb\r\nc",
			strings.Repeat("<", 4000), strings.Repeat("&", 4000), strings.Repeat("`", 4000), strings.Repeat("𝔘", 4000), strings.Repeat("word ", 1000),
		}),
	)
}

func moment() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		n := rapid.Int64Range(-1, 4e9).Draw(t, "seconds")
		if n < 0 {
			return time.Time{}
		}
		return time.Unix(n, 0).UTC()
	})
}

func anyScene() *rapid.Generator[render.Scene] {
	return rapid.Custom(func(t *rapid.T) render.Scene {
		s := render.Scene{
			Run: ledger.Run{
				ID: nasty().Draw(t, "id"), Kind: rapid.SampledFrom([]string{ledger.KindRotate, ledger.KindAudit}).Draw(t, "kind"),
				Secret: nasty().Draw(t, "secret"), Environment: nasty().Draw(t, "environment"), Mode: rapid.SampledFrom([]string{"", "routine", "compromised"}).Draw(t, "mode"),
				Reason: nasty().Draw(t, "reason"), Actor: nasty().Draw(t, "actor"), Problem: nasty().Draw(t, "problem"),
				State:     rapid.SampledFrom([]ledger.RunState{ledger.Queued, ledger.Running, ledger.Waiting, ledger.RollingBack, ledger.Succeeded, ledger.RolledBack, ledger.Failed, "new"}).Draw(t, "state"),
				CreatedAt: moment().Draw(t, "created"), StartedAt: moment().Draw(t, "started"), EndedAt: moment().Draw(t, "ended"), WakeAt: moment().Draw(t, "wake"),
			},
			Anchor: render.Anchor{Seq: rapid.Int64().Draw(t, "seq")},
			Now:    moment().Draw(t, "now"),
		}
		if rapid.Bool().Draw(t, "stands") {
			memo, err := commands.Respite{
				Open: true, Until: moment().Draw(t, "until"), Times: rapid.IntRange(0, commands.MaxHolds).Draw(t, "times"),
				By: nasty().Draw(t, "by"), Seen: nasty().Draw(t, "seen"),
			}.Memo()
			if err != nil {
				t.Fatal(err)
			}
			s.Run.Memo = memo
		}
		for i := range rapid.SampledFrom([]int{0, 1, 8, 70}).Draw(t, "steps") {
			s.Steps = append(s.Steps, ledger.Step{
				Index: i, Key: fmt.Sprint("k", i), Title: nasty().Draw(t, "title"), Note: nasty().Draw(t, "note"), Consumer: nasty().Draw(t, "consumer"),
				State:   rapid.SampledFrom([]ledger.StepState{ledger.StepPending, ledger.StepRunning, ledger.StepDone, ledger.StepFailed, ledger.StepSkipped, ledger.StepUndone}).Draw(t, "step state"),
				Started: moment().Draw(t, "step started"), Ended: moment().Draw(t, "step ended"), Attempt: rapid.Int().Draw(t, "attempt"),
			})
		}
		if rapid.Bool().Draw(t, "has a report") {
			r := anyReport().Draw(t, "report")
			s.Report = &r
		}
		return s
	})
}

func anyReport() *rapid.Generator[audit.Report] {
	return rapid.Custom(func(t *rapid.T) audit.Report {
		many := func(label string) []string { return rapid.SliceOfN(nasty(), 0, 25).Draw(t, label) }
		r := audit.Report{
			Secret: nasty().Draw(t, "secret"), Environment: nasty().Draw(t, "environment"), Window: audit.Window{Since: moment().Draw(t, "since"), Until: moment().Draw(t, "until")},
			Totals:    map[audit.Kind]int{audit.Used: rapid.Int().Draw(t, "used"), audit.Denied: rapid.Int().Draw(t, "denied")},
			Strangers: map[audit.Kind]int{audit.Denied: rapid.Int().Draw(t, "strangers")},
			Read:      many("read"),
			Verdict: audit.Verdict{
				Outcome: audit.Outcome(rapid.SampledFrom([]string{"no_sign", "tried_and_refused", "used", "cannot_tell", ""}).Draw(t, "outcome")), Sentence: nasty().Draw(t, "sentence"),
				Reasons: many("reasons"), Missing: many("missing"),
			},
		}
		for _, n := range many("findings") {
			r.Findings = append(r.Findings, audit.Finding{Kind: audit.Used, Path: n, Method: n, At: moment().Draw(t, "at"), Status: rapid.Int().Draw(t, "status")})
			r.Findings = append(r.Findings, audit.Finding{Kind: audit.InvalidSignature, Path: n})
		}
		for _, n := range many("tallies") {
			r.Addresses = append(r.Addresses, audit.Tally{Name: n, Count: rapid.Int().Draw(t, "count"), First: moment().Draw(t, "first"), Last: moment().Draw(t, "last")})
			r.Paths = append(r.Paths, audit.Tally{Name: n})
			r.Issues = append(r.Issues, audit.Issue{ShortID: n, Title: n, Count: rapid.Int64().Draw(t, "issue count")})
			r.Gaps = append(r.Gaps, audit.Gap{Source: n, Why: n})
		}
		for _, n := range rapid.SliceOfN(nasty(), 0, 20).Draw(t, "visitors") {
			r.Visitors = append(r.Visitors, audit.Visitor{Addr: n, Agents: []string{n, n, n}, Paths: []string{n}, Unusual: []string{n}, Accepted: 3, Refused: 4, RefusedFirst: 2, Peak: 9, Elsewhere: 1})
			r.Exposed = append(r.Exposed, audit.Exposure{Source: n, Text: n, Whole: true})
			r.Verdict.Confidence, r.Verdict.Changes = audit.Low, append(r.Verdict.Changes, n)
		}
		return r
	})
}

func TestAnySceneFitsSlack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := anyScene().Draw(t, "scene")
		valid(t, render.Board(s))
		valid(t, render.Reply(s))
		if len(s.Steps) > 0 {
			m, ok := render.StepDetail(s, "k0")
			if !ok {
				t.Fatal("the step is not found")
			}
			valid(t, m)
			valid(t, render.Steps(s))
		}
		if s.Report != nil {
			valid(t, render.Evidence(*s.Report))
			valid(t, render.WithoutFiles(s, nasty().Draw(t, "why")))
			harmless(t, render.FilesComment(*s.Report))
			if name := render.FileName(*s.Report); strings.ContainsAny(name, "/\\ \x00") || strings.HasPrefix(name, ".") {
				t.Errorf("a file is called %q", name)
			}
		}
	})
}

func TestAnyAnswerFitsAnAcknowledgement(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := commands.Answer{
			Outcome: rapid.SampledFrom([]commands.Outcome{commands.Taken, commands.Denied, commands.Unusable, commands.Told}).Draw(t, "outcome"),
			Verb:    rapid.SampledFrom([]commands.Verb{commands.Rotate, commands.List, commands.Status, commands.Help}).Draw(t, "verb"),
			Text:    strings.ReplaceAll(nasty().Draw(t, "text"), "`", ""), Run: nasty().Draw(t, "run"), Steps: map[string][]ledger.Step{},
		}
		s := anyScene().Draw(t, "scene")
		for range rapid.IntRange(0, 40).Draw(t, "runs") {
			a.Runs = append(a.Runs, s.Run)
			a.Steps[s.Run.ID] = s.Steps
		}
		for _, n := range rapid.SliceOfN(nasty(), 0, 60).Draw(t, "secrets") {
			a.Secrets = append(a.Secrets, commands.SecretRow{Name: n, Environment: n, Purpose: n, Owner: n, Risk: n, Procedure: n, Active: n})
		}
		m := render.Answer(a, time.Unix(1e9, 0))
		valid(t, m)
		b, err := json.Marshal(m)
		if err != nil || len(b) >= 20*1024 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
}

func TestAnyPageFitsPagerDuty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := anyScene().Draw(t, "scene")
		s.Run.Incident = nasty().Draw(t, "incident")
		e := render.Trigger(s, nasty().Draw(t, "source"), "")
		if n := units(e.Payload.Summary); n < 1 || n > 1024 {
			t.Errorf("summary of %d characters", n)
		}
		if len(e.DedupKey) > 255 || e.DedupKey != render.Resolve(s).DedupKey {
			t.Errorf("dedup keys %q and %q", e.DedupKey, render.Resolve(s).DedupKey)
		}
		if e.Payload.Source == "" {
			t.Error("no source")
		}
		b, err := json.Marshal(e)
		if err != nil || len(b) > 512*1024 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
}

func TestWhatIsLeftOutIsCounted(t *testing.T) {
	t.Parallel()
	r := report(audit.Refused)
	r.Verdict.Reasons = nil
	for i := range 60 {
		r.Verdict.Reasons = append(r.Verdict.Reasons, fmt.Sprintf("reason %d %s", i, strings.Repeat("because ", 20)))
	}
	s := succeeded(r)
	b, err := json.Marshal(render.Board(s))
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.Count(string(b), "• reason")
	if want := fmt.Sprintf("… and %d more", 60-shown); shown == 0 || !strings.Contains(string(b), want) {
		t.Errorf("%d of 60 reasons shown, and not %q", shown, want)
	}
}

func TestALongRunShowsWhereItIs(t *testing.T) {
	t.Parallel()
	s := compromised(ledger.Running)
	s.Steps = nil
	for i := range 80 {
		s.Steps = append(s.Steps, ledger.Step{
			Index: i, Key: fmt.Sprint(i), Title: fmt.Sprintf("Step %d of a run with very many consumers", i) + strings.Repeat(" and more", 4), State: ledger.StepDone, Note: strings.Repeat("note ", 15), Started: at(0), Ended: at(1),
		})
	}
	s.Steps[79].State, s.Steps[79].Title = ledger.StepFailed, "The failing step"
	b, err := json.Marshal(render.Board(s))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "The failing step") || !strings.Contains(string(b), "earlier steps") {
		t.Errorf("the step that matters is not shown: %s", b)
	}
}
