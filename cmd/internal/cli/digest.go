package cli

import (
	"rekey/bot/render"
	"rekey/commands"
)

type digestCmd struct {
	JSON bool `name:"json" help:"Print as JSON."`
}

// Run shows what the daily digest would say now.
func (c *digestCmd) Run(s *session) error {
	a, err := s.reader()
	if err != nil {
		return err
	}
	defer a.Close()
	answer, err := s.take(a, commands.Request{Verb: commands.Digest})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.Out, answer.Digest)
	}
	s.say(render.DigestText(*answer.Digest))
	return nil
}
