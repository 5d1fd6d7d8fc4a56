package app

import (
	"context"
	"time"

	"rekey/commands"
	"rekey/commands/schedule"
)

// tick is how often the schedule is looked at.
const tick = time.Minute

// keepSchedule starts routine rotations that are due, in the catalogue's windows, until
// ctx ends. Each replica looks; the request's id, which names the secret and the day,
// lets the ledger take it from one of them, once a day: what was refused or failed is
// tried again on the next.
func (a *App) keepSchedule(ctx context.Context) {
	if len(a.cfg.Catalogue.Schedule.Windows) == 0 {
		return
	}
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		if err := a.StartDue(ctx, time.Now()); err != nil && ctx.Err() == nil {
			a.log.Warn("starting what is due", "cause", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// StartDue starts the rotation that should start by itself at that moment, if any.
func (a *App) StartDue(ctx context.Context, now time.Time) error {
	self := commands.Actor{Via: "rekey"}
	answer, err := a.desk.Take(ctx, commands.Request{At: now, Actor: self, Verb: commands.Schedule})
	if err != nil {
		return err
	}
	row, ok := schedule.Next(a.cfg.Catalogue, answer.Secrets, now)
	if !ok {
		return nil
	}
	answer, err = a.desk.Take(ctx, commands.Request{
		ID: "auto/" + row.Environment + "/" + row.Name + "/" + now.UTC().Format(time.DateOnly),
		At: now, Actor: self, Verb: commands.Rotate, Mode: commands.Routine, Secret: row.Name, Environment: row.Environment,
		Reason: "due on " + row.NextDue.UTC().Format("2 Jan 2006"), Confirmed: true,
	})
	if err == nil && answer.Outcome != commands.Taken {
		a.log.Warn("a rotation that is due was not started", "secret", row.Name, "environment", row.Environment, "why", answer.Text)
	}
	return err
}
