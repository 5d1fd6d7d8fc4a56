package render_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/commands"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func goldenJSON(t *testing.T, name string, v any) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	golden(t, name+".golden.json", b.Bytes())
}

func TestBoard(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]render.Scene{
		"queued":                compromised(ledger.Queued),
		"running":               running(),
		"rolled-back":           rolledBack(),
		"waiting":               waiting(),
		"standing":              standing(t, nil),
		"standing-put-off":      standing(t, putOff(1)),
		"standing-last":         standing(t, putOff(3)),
		"standing-chosen":       chosen(standing(t, nil)),
		"standing-batch":        both(standing(t, nil), compromised(ledger.Queued)),
		"succeeded-no-sign":     succeeded(report(audit.NoSign)),
		"succeeded-refused":     succeeded(report(audit.Refused)),
		"succeeded-misused":     succeeded(report(audit.Misused)),
		"succeeded-cannot-tell": succeeded(report(audit.CannotTell)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := render.Board(s)
			valid(t, m)
			goldenJSON(t, "board-"+name, m)
		})
	}
}

func chosen(s render.Scene) render.Scene {
	s.Run.Asked = ledger.WishKill
	return s
}

// A board of a run that stands carries the choices, and each button says what the desk
// will be asked.
func TestTheChoicesCarryTheirRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scene render.Scene
		want  []string
	}{
		"first":   {standing(t, nil), []string{"End it now: kill r-7f3a", "10 more minutes (1 of 3): hold r-7f3a"}},
		"second":  {standing(t, putOff(1)), []string{"End it now: kill r-7f3a", "10 more minutes (2 of 3): hold r-7f3a"}},
		"no more": {standing(t, putOff(3)), []string{"End it now: kill r-7f3a"}},
		"chosen":  {chosen(standing(t, nil)), nil},
		"over":    {running(), nil},
		"batch": {
			both(standing(t, nil), compromised(ledger.Queued)),
			[]string{"End it now: kill r-7f3a", "10 more minutes (1 of 3): hold r-7f3a"},
		},
	} {
		var got []string
		for _, b := range render.Board(c.scene).Blocks {
			a, ok := b.(*slack.ActionBlock)
			if !ok {
				continue
			}
			for _, e := range a.Elements.ElementSet {
				button := e.(*slack.ButtonBlockElement)
				if button.ActionID == render.ActionRollback {
					continue
				}
				req, err := render.DecodeButton(button.Value)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if button.ActionID != "rekey-"+string(req.Verb) {
					t.Errorf("%s: %s asks for %s", name, button.ActionID, req.Verb)
				}
				got = append(got, button.Text.Text+": "+string(req.Verb)+" "+req.Run)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestThread(t *testing.T) {
	t.Parallel()
	s := succeeded(report(audit.Misused))
	m := render.Evidence(*s.Report)
	valid(t, m)
	goldenJSON(t, "evidence", m)

	failed := rolledBack()
	failed.Steps[3].Consumer, failed.Steps[3].Attempt = "django", 2
	m, ok := render.StepDetail(failed, failed.Steps[3].Key)
	if !ok {
		t.Fatal("the step is not found")
	}
	valid(t, m)
	goldenJSON(t, "step", m)
	if _, ok := render.StepDetail(failed, "no such step"); ok {
		t.Error("a step that does not exist is told")
	}

	m = render.Steps(failed)
	valid(t, m)
	goldenJSON(t, "steps", m)

	m = render.Reply(s)
	valid(t, m)
	goldenJSON(t, "reply", m)
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	rows := []commands.SecretRow{
		{Name: "SECRET_KEY", Environment: "production", Purpose: "Django session/CSRF", Owner: "DevOps", Risk: "medium", Procedure: "manual", LastRotated: at(-90 * 86400), NextDue: at(-3600)},
		{Name: "REVALIDATE_SECRET", Environment: "production", Purpose: "Next.js ISR webhook", Owner: "DevOps", Risk: "low", Procedure: "hmac-overlap", Active: "r-7f3a"},
	}
	for name, a := range map[string]commands.Answer{
		"taken":  {Outcome: commands.Taken, Verb: commands.Rotate, Text: "Rotating REVALIDATE_SECRET in production.", Run: "r-7f3a"},
		"denied": {Outcome: commands.Denied, Verb: commands.Rotate, Text: "You may not rotate secrets: ask a responder.\nThis was recorded."},
		"help":   {Outcome: commands.Told, Verb: commands.Help, Text: commands.HelpText()},
		"list":   {Outcome: commands.Told, Verb: commands.List, Text: "2 secrets.", Secrets: rows},
		"status": {
			Outcome: commands.Told, Verb: commands.Status, Text: "1 run under way.",
			Runs: []ledger.Run{running().Run, rolledBack().Run}, Steps: map[string][]ledger.Step{"r-7f3a": running().Steps},
		},
		"nothing": {Outcome: commands.Told},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := render.Answer(a, at(14.2))
			valid(t, m)
			goldenJSON(t, "answer-"+name, m)
		})
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	goldenJSON(t, "page-compromised", render.Trigger(running(), "leather-api", "https://acme.slack.com/archives/C1/p1"))
	failed := rolledBack()
	failed.Run.Mode = "routine"
	goldenJSON(t, "page-failed", render.Trigger(failed, "", ""))
	goldenJSON(t, "page-resolve", render.Resolve(running()))
	if a, b := render.DedupKey(strings.Repeat("x", 300)), render.DedupKey(strings.Repeat("x", 301)); len(a) > 255 || a == b {
		t.Errorf("long incidents: %q and %q", a, b)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	golden(t, "run.golden.txt", []byte(render.RunText(succeeded(report(audit.CannotTell)))))
	golden(t, "run-rolled-back.golden.txt", []byte(render.RunText(rolledBack())))
	golden(t, "incident.golden.md", []byte(render.Markdown(succeeded(report(audit.Misused)))))
	golden(t, "run-standing.golden.txt", []byte(render.HeldLine(standing(t, putOff(1)))+"\n"+render.RunText(standing(t, putOff(1)))+render.RunLines([]ledger.Run{standing(t, nil).Run}, at(25))))
	golden(t, "report.golden.md", []byte(render.ReportMarkdown(*report(audit.Misused))))
	golden(t, "findings.golden.csv", render.FindingsCSV(hostile()))
	golden(t, "plan.golden.txt", []byte(render.PlanText(plan())))
}

// hostile is a report whose visitors tried to leave formulas and broken rows behind.
func hostile() audit.Report {
	r := *report(audit.Misused)
	for _, path := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "/a,b\"c\r\nd", "＝1", "/plain"} {
		r.Findings = append(r.Findings, audit.Finding{
			Kind: audit.Denied, At: at(1), Method: "GET", Path: path, Agent: path, Status: 403, Guarded: true,
			Sources: []string{"nginx.log:1", "django.log:9"}, Text: path,
		})
	}
	return r
}

func TestNoCellIsAFormula(t *testing.T) {
	t.Parallel()
	r := hostile()
	text := render.FindingsCSV(r)
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+len(r.Findings) || bytes.Count(text, []byte("\r\n")) != len(rows) {
		t.Errorf("%d rows for %d findings, %d ends of lines", len(rows), len(r.Findings), bytes.Count(text, []byte("\r\n")))
	}
	for _, row := range rows[1:] {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r＝", []rune(cell)[0]) {
				t.Errorf("a spreadsheet would compute %q", cell)
			}
		}
	}
}

func plan() commands.Answer {
	return commands.Answer{
		Outcome: commands.Told, Verb: commands.Rotate, Text: "A routine rotation of X in production would take these 2 steps. Nothing was touched.",
		Plan: []commands.PlanRow{
			{Title: "Make the new value", Would: []string{"make a value with the generator hex32", "keep the values of the run beside /srv/api/.env"}},
			{Title: "Publish the new value to api, beside the old one", Would: []string{"write X and X_OLD in /srv/api/.env", "run systemctl reload api"}},
		},
	}
}

func TestAnswersWithButtons(t *testing.T) {
	t.Parallel()
	goldenJSON(t, "answer-plan", render.Answer(plan(), at(0)))
	asking := commands.Answer{Outcome: commands.Asking, Verb: commands.Rotate, Text: "120 sessions end.", Confirm: &commands.Confirm{
		Request: commands.Request{Verb: commands.Rotate, Secret: "SECRET_KEY", Environment: "production", Mode: commands.Compromised, Reason: "in a CI log", Confirmed: true},
		Cost:    "120 sessions and 3 password reset links end.", Yes: "Rotate SECRET_KEY now",
	}}
	goldenJSON(t, "answer-asking", render.Answer(asking, at(0)))
}

func TestATerminalCannotBeSteered(t *testing.T) {
	t.Parallel()
	s := running()
	s.Run.Reason = "x\x1b]0;owned\a\x1b[2J\r\nverdict: all is well\u202e"
	s.Steps[0].Note = "\x1b[31mred"
	r := report(audit.Refused)
	r.Paths[0].Name = "/a\x1b[1A\u009b2K\x9b"
	s.Report = r
	for name, got := range map[string]string{"run": render.RunText(s), "markdown": render.Markdown(s), "report": render.ReportMarkdown(*r), "csv": strings.ReplaceAll(string(render.FindingsCSV(*r)), "\r\n", "\n")} {
		if strings.ContainsAny(got, "\x1b\u009b\a\r\u202e") {
			t.Errorf("%s lets control characters through: %q", name, got)
		}
		if strings.Contains(got, "\nverdict: all is well") {
			t.Errorf("%s lets a reason begin a line of its own", name)
		}
	}
}
