package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/rotate"
)

// choose takes what somebody chose about the end of an old value that callers of ours
// still use: end it now, or let it live some minutes more. Of a batch every member that
// stands at that decision is meant.
func (d *Desk) choose(ctx context.Context, req commands.Request) (commands.Answer, error) {
	// Somebody else may choose, or the time run out, between looking and writing down.
	for range 5 {
		run, found, err := d.named(ctx, req)
		if err != nil {
			return noRun(req, err)
		}
		req.Secret, req.Environment = run.Secret, run.Environment
		answer, err := d.chooseNow(ctx, req, run, found)
		if !errors.Is(err, errMoved) && !errors.Is(err, ledger.ErrEnded) {
			return answer, err
		}
	}
	return unusable(req, "Run "+req.Run+" changes too fast to be asked for something; type the command again."), nil
}

// chooseNow is one try of choose; errMoved and ledger.ErrEnded ask for another.
func (d *Desk) chooseNow(ctx context.Context, req commands.Request, run ledger.Run, found []sought) (commands.Answer, error) {
	wish, now := ledger.WishKill, d.cfg.Now()
	if req.Verb == commands.Hold {
		wish = ledger.WishHold
	}
	var chosen []sought
	var says []string
	why := ""
	for _, m := range found {
		next, err := d.choice(m, wish, req.Actor.String(), now)
		if err != nil {
			why = d.scrub(err.Error())
			continue
		}
		chosen, says = append(chosen, m), append(says, promise(m.run, wish, next))
	}
	switch {
	case len(chosen) == 0 && run.Kind == ledger.KindBatch:
		return d.decline(ctx, req, run, "Nothing was changed: no rotation of "+run.ID+" stands at that decision now.")
	case len(chosen) == 0:
		return d.decline(ctx, req, run, "Nothing was changed about run "+run.ID+": "+why)
	}
	answer := commands.Answer{Outcome: commands.Taken, Verb: req.Verb, Run: run.ID, Text: strings.Join(says, " ")}
	return d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
		for _, m := range chosen {
			at, err := tx.Run(ctx, m.run.ID)
			if err != nil {
				return err
			}
			if at.Version != m.run.Version || at.Asked != m.run.Asked {
				return errMoved
			}
			single := req
			single.Secret, single.Environment = m.run.Secret, m.run.Environment
			e := d.entry(single, m.run, "accepted")
			e.At = now // what was promised is counted from here
			if err := d.wish(ctx, tx, m.run, wish, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// choice is rotate.Choice of a run that others may have asked for something already.
func (d *Desk) choice(m sought, wish ledger.Wish, by string, now time.Time) (commands.Respite, error) {
	next, _, err := rotate.Choice(m.run, m.steps, wish, by, now)
	switch {
	case err != nil:
		return next, err
	case m.run.Asked == ledger.WishKill:
		return next, &rotate.Fault{Sentence: "somebody has just chosen to end it now."}
	case m.run.Asked == ledger.WishHold && wish == ledger.WishHold:
		return next, &rotate.Fault{Sentence: fmt.Sprintf("somebody has just put its end off for %d minutes.", int(commands.HoldFor.Minutes()))}
	}
	return next, nil
}

// promise is what the person is told, and holds.
func promise(run ledger.Run, wish ledger.Wish, next commands.Respite) string {
	what := fmt.Sprintf("The old value of %s in %s ", run.Secret, run.Environment)
	if wish == ledger.WishKill {
		return what + "ends now (run " + run.ID + "). Whoever still uses it is refused: " + next.Seen + "."
	}
	return what + fmt.Sprintf("lives until %s (%d of %d, run %s), or until nobody of ours was seen using it for a minute. Whoever stole it can use it until then, too.",
		next.Until.UTC().Format("15:04:05 MST"), next.Times, commands.MaxHolds, run.ID)
}
