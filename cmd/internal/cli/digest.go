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
		return writeJSON(s.Out, digestJSON(*answer.Digest))
	}
	s.say(render.DigestText(*answer.Digest))
	return nil
}

// digestJSON is the digest as machines get it, with commands that a terminal takes.
func digestJSON(d commands.DailyDigest) commands.DailyDigest {
	for _, rows := range [][]commands.DigestRow{d.Overdue, d.Due} {
		for i := range rows {
			rows[i].Command = words(rows[i].Command)
		}
	}
	for i := range d.Waiting {
		d.Waiting[i].Says = words(d.Waiting[i].Says)
	}
	if d.Next != nil {
		d.Next.Command = words(d.Next.Command)
	}
	return d
}
