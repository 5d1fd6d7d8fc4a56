package cli

import (
	"time"

	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/commands"
)

type runsCmd struct {
	ID   string `arg:"" name:"run" optional:"" help:"One run's number; all when left out."`
	JSON bool   `name:"json" help:"Print as JSON."`
}

// Run shows runs.
func (c *runsCmd) Run(s *session) error {
	a, err := s.reader()
	if err != nil {
		return err
	}
	defer a.Close()
	answer, err := s.take(a, commands.Request{Verb: commands.Status, Run: c.ID})
	if err != nil {
		return err
	}
	if c.ID == "" {
		if c.JSON {
			return writeJSON(s.Out, append([]ledger.Run{}, answer.Runs...)) // [] and not null
		}
		s.say(render.RunLines(answer.Runs, time.Now()))
		return nil
	}
	scene, err := a.Scene(s.ctx, answer.Runs[0].ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.Out, sceneJSON(scene))
	}
	s.say(render.RunText(scene))
	return nil
}

type listCmd struct {
	JSON bool `name:"json" help:"Print as JSON."`
}

// Run lists the secrets.
func (c *listCmd) Run(s *session) error {
	a, err := s.reader()
	if err != nil {
		return err
	}
	defer a.Close()
	answer, err := s.take(a, commands.Request{Verb: commands.List})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.Out, secretsJSON(answer.Secrets))
	}
	s.say(render.SecretLines(answer.Secrets, time.Now()))
	return nil
}
