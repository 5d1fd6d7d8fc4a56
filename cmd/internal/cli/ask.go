package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/cmd/internal/app"
	"rekey/commands"
)

// submitWithin bounds the recording of a request.
const submitWithin = 10 * time.Second

type rotateCmd struct {
	Secret string   `arg:"" help:"The secret's name."`
	Mode   string   `arg:"" help:"compromised or routine."`
	Why    []string `arg:"" optional:"" help:"The reason, in your words."`
	Env    string   `help:"The environment; the catalogue's first by default." placeholder:"NAME"`
	Reason string   `help:"The reason, in your words." placeholder:"TEXT"`
	JSON   bool     `name:"json" help:"Print the ended run as JSON."`
}

// Run rotates a secret and follows the run to its end.
func (c *rotateCmd) Run(s *session) error {
	mode, err := commands.ParseMode(c.Mode)
	if err != nil {
		return err
	}
	reason := strings.TrimSpace(c.Reason + " " + strings.Join(c.Why, " "))
	return s.follow(commands.Request{Verb: commands.Rotate, Secret: c.Secret, Environment: c.Env, Mode: mode, Reason: reason}, c.JSON)
}

type auditCmd struct {
	Secret string `arg:"" help:"The secret's name."`
	Since  string `help:"How far back: 24h, 3d, 2026-11-20, 2026-11-20T10:00Z." default:"24h"`
	Env    string `help:"The environment; the catalogue's first by default." placeholder:"NAME"`
	JSON   bool   `name:"json" help:"Print the report as JSON."`
}

// Run audits a secret.
func (c *auditCmd) Run(s *session) error {
	since, err := commands.ParseSince(c.Since, time.Now())
	if err != nil {
		return err
	}
	return s.follow(commands.Request{Verb: commands.Audit, Secret: c.Secret, Environment: c.Env, Since: since}, c.JSON)
}

// follow takes a request, carries or watches its run, and prints how it goes.
func (s *session) follow(req commands.Request, asJSON bool) error {
	a, working, err := s.worker()
	if err != nil {
		return err
	}
	defer a.Close()
	answer, err := s.take(a, req)
	if err != nil {
		return err
	}
	if !asJSON {
		fmt.Fprintln(s.Out, answer.Text)
	}
	show := func(run ledger.Run, steps []ledger.Step) {}
	if !asJSON {
		show = s.progress()
	}
	run, err := a.Carry(s.ctx, answer.Run, working, show)
	if err != nil {
		return err
	}
	return s.ended(a, run, asJSON)
}

// take submits a request under the operating-system user's name.
func (s *session) take(a *app.App, req commands.Request) (commands.Answer, error) {
	actor, err := operator()
	if err != nil {
		return commands.Answer{}, err
	}
	req.ID, req.At, req.Actor = "cli-"+rand.Text(), time.Now(), actor
	ctx, cancel := context.WithTimeout(s.ctx, submitWithin)
	defer cancel()
	answer, err := a.Take(ctx, req)
	if err != nil {
		return answer, err
	}
	if answer.Outcome == commands.Denied || answer.Outcome == commands.Unusable {
		return answer, &failure{code: ExitRefused, text: answer.Text}
	}
	return answer, nil
}

// operator is who types. Behind sudo the person's own name is shown beside root's;
// the decision is made on the user the process really runs as.
func operator() (commands.Actor, error) {
	u, err := user.Current()
	if err != nil {
		return commands.Actor{}, fmt.Errorf("finding out who you are: %w", err)
	}
	actor := commands.Actor{Via: "cli", ID: u.Username, Name: u.Username}
	if by := os.Getenv("SUDO_USER"); by != "" {
		actor.Name = "sudo by " + by
	}
	return actor, nil
}

// progress prints each step once, when it has ended.
func (s *session) progress() func(ledger.Run, []ledger.Step) {
	said := map[int]bool{}
	return func(_ ledger.Run, steps []ledger.Step) {
		for _, st := range steps {
			ended := st.State == ledger.StepDone || st.State == ledger.StepFailed
			if ended && !said[st.Index] {
				said[st.Index] = true
				fmt.Fprintln(s.Out, render.StepLine(st))
			}
		}
	}
}

// ended prints how a run ended and answers the exit code that says so.
func (s *session) ended(a *app.App, run ledger.Run, asJSON bool) error {
	steps, report, err := s.look(a, run.ID)
	if err != nil {
		return err
	}
	if asJSON {
		if err := writeJSON(s.Out, runJSON{Run: run, Steps: steps, Report: report}); err != nil {
			return err
		}
	} else {
		fmt.Fprint(s.Out, "\n", render.EndText(render.Scene{Run: run, Steps: steps, Report: report, Now: time.Now()}))
	}
	return verdictError(run, report)
}

func verdictError(run ledger.Run, report *audit.Report) error {
	switch {
	case run.State == ledger.Failed || run.State == ledger.RolledBack:
		return &failure{code: ExitRunFailed}
	case report == nil:
		return nil
	case report.Verdict.Outcome == audit.Misused:
		return &failure{code: ExitMisused}
	case report.Verdict.Outcome == audit.CannotTell:
		return &failure{code: ExitUnsure}
	}
	return nil
}

// runJSON is a run as machines get it.
type runJSON struct {
	Run    ledger.Run    `json:"run"`
	Steps  []ledger.Step `json:"steps"`
	Report *audit.Report `json:"report,omitempty"`
}

func (s *session) look(a *app.App, id string) ([]ledger.Step, *audit.Report, error) {
	run, steps, err := a.Look(s.ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if len(run.Report) == 0 {
		return steps, nil, nil
	}
	report := new(audit.Report)
	if err := json.Unmarshal(run.Report, report); err != nil {
		return steps, nil, fmt.Errorf("reading the report of run %s: %w", id, err)
	}
	return steps, report, nil
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
