package app

import (
	"context"
	"time"

	"rekey/commands"
	"rekey/commands/schedule"
)

// keepSchedule posts the daily digest, and starts routine rotations that are due in the
// catalogue's windows, until ctx ends. Each replica looks, at each full minute; the
// request's id, which names the digest's day, or the secret and the day, lets the ledger
// take it from one of them, once a day: a rotation that was refused or failed is tried
// again on the next.
func (a *App) keepSchedule(ctx context.Context) {
	s := a.cfg.Catalogue.Schedule
	if len(s.Windows) == 0 && s.Digest < 0 {
		return
	}
	for {
		if err := a.PostDigest(ctx, time.Now()); err != nil && ctx.Err() == nil {
			a.log.Warn("posting the daily digest", "cause", err.Error())
		}
		if len(s.Windows) > 0 {
			if err := a.StartDue(ctx, time.Now()); err != nil && ctx.Err() == nil {
				a.log.Warn("starting what is due", "cause", err.Error())
			}
		}
		now := time.Now()
		t := time.NewTimer(now.Truncate(time.Minute).Add(time.Minute).Sub(now))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

// PostDigest has the daily digest posted if its time has come at that moment and nobody
// has done so that day.
func (a *App) PostDigest(ctx context.Context, now time.Time) error {
	return a.desk.PostDigest(ctx, now)
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
