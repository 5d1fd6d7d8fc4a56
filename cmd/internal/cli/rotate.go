package cli

import (
	"strings"

	"rekey/bot/render"
	"rekey/commands"
)

type rotateCmd struct {
	Secret string   `arg:"" help:"The secret's name."`
	Mode   string   `arg:"" optional:"" help:"compromised: the old value ends as soon as that is safe, on-call is paged. routine: it stays valid for its overlap."`
	Why    []string `arg:"" optional:"" help:"The reason, in your words; never a value."`
	Env    string   `help:"The environment; the catalogue's first by default." placeholder:"NAME"`
	Reason string   `help:"The reason, in your words." placeholder:"TEXT"`
	DryRun bool     `name:"dry-run" help:"Tell everything that would be touched, and touch nothing."`
	Yes    bool     `help:"Do not ask, whatever the rotation ends."`
	JSON   bool     `name:"json" help:"Print the ended run, or the plan, as JSON."`
}

// Run rotates a secret and follows the run to its end.
func (c *rotateCmd) Run(s *session) error {
	req, err := parse("/rotate", c.Env, c.Secret, append([]string{c.Mode}, c.Why...))
	if err != nil {
		return err
	}
	req.Reason = strings.TrimSpace(c.Reason + " " + req.Reason)
	req.DryRun, req.Confirmed = req.DryRun || c.DryRun, req.Confirmed || c.Yes
	if req.DryRun {
		return s.plan(req, c.JSON)
	}
	return s.start(req, c.JSON)
}

// plan prints what a rotation would touch.
func (s *session) plan(req commands.Request, asJSON bool) error {
	a, err := s.reader()
	if err != nil {
		return err
	}
	defer a.Close()
	answer, err := s.take(a, req)
	if err != nil {
		return err
	}
	if asJSON {
		for _, o := range answer.Others { // who reads the plan must not take it for whole
			s.complain("not in this plan: " + o.Secret + " " + o.Says)
		}
		return writeJSON(s.Out, planJSON(answer.Plan))
	}
	s.say(render.PlanText(answer))
	return nil
}

// parse reads a command as Slack's is read, so that one grammar holds at both doors.
func parse(command, env, name string, rest []string) (commands.Request, error) {
	line := name
	if env != "" {
		line += " in " + env
	}
	req, err := commands.ParseSlash(command, line+" "+strings.Join(rest, " "))
	if err != nil {
		return req, err
	}
	if req.Verb != commands.Rotate && req.Verb != commands.Audit {
		return req, &commands.UsageError{Problem: "The name of the secret comes first.", Try: command + " NAME"}
	}
	return req, nil
}
