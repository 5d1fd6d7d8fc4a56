package cli

import (
	"fmt"
	"time"

	"rekey/bot/render"
	"rekey/commands"
	"rekey/commands/schedule"
)

type scheduleCmd struct {
	JSON bool `name:"json" xor:"form" help:"Print as JSON."`
	ICS  bool `name:"ics" xor:"form" help:"Print as a calendar (iCalendar) that other programs import."`
}

// Run shows what falls due when.
func (c *scheduleCmd) Run(s *session) error {
	a, err := s.reader()
	if err != nil {
		return err
	}
	defer a.Close()
	answer, err := s.take(a, commands.Request{Verb: commands.Schedule})
	if err != nil {
		return err
	}
	now := time.Now()
	switch {
	case c.JSON:
		return writeJSON(s.Out, secretsJSON(answer.Secrets))
	case c.ICS:
		fmt.Fprint(s.Out, schedule.ICS(answer.Secrets, now))
		return nil
	}
	fmt.Fprint(s.Out, render.ScheduleTable(answer.Secrets, now))
	return nil
}
