package intake

import (
	"context"
	"errors"
	"fmt"

	"rekey/audit/ledger"
	"rekey/commands"
)

// busy answers a rotation of a secret that is being rotated already. A routine run is
// brought to its end when the secret turns out to be compromised: the old value must
// not live another day.
func (d *Desk) busy(ctx context.Context, req commands.Request) (commands.Answer, error) {
	var active ledger.Run
	err := d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		var err error
		active, err = d.active(ctx, tx, req)
		return err
	})
	if errors.Is(err, ledger.ErrNotFound) { // it ended in between
		return justEnded(req), nil
	}
	if err != nil {
		return commands.Answer{}, fmt.Errorf("reading the run under way: %w", err)
	}
	if req.Mode != commands.Compromised || !escalates(active) {
		return d.refuseBusy(ctx, req, active)
	}
	return d.escalate(ctx, req, active)
}

// escalates reports whether a run can be asked to go on as a compromised one.
func escalates(r ledger.Run) bool {
	return r.Mode == string(commands.Routine) && r.State != ledger.RollingBack && r.Asked == ""
}

// errMoved: the run is not as it was seen.
var errMoved = errors.New("the run went on in the meantime")

func justEnded(req commands.Request) commands.Answer {
	return commands.Answer{Outcome: commands.Unusable, Verb: req.Verb, Text: "Another rotation of this secret has just ended; type the command again if you still want one."}
}

// refuseBusy says who is rotating the secret, and records that somebody asked.
func (d *Desk) refuseBusy(ctx context.Context, req commands.Request, active ledger.Run) (commands.Answer, error) {
	answer := commands.Answer{Outcome: commands.Unusable, Verb: req.Verb, Run: active.ID, Text: fmt.Sprintf(
		"%s in %s is being rotated already: run %s, started by %s. Nothing else was started; /rotate status shows how far it is.",
		active.Secret, active.Environment, active.ID, active.Actor)}
	return d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
		return tx.Append(ctx, d.entry(req, active, "busy"))
	})
}

// escalate asks a routine run to go on as a compromised one. The run's holder meets the
// wish at its next commit; one that sleeps is woken.
func (d *Desk) escalate(ctx context.Context, req commands.Request, run ledger.Run) (commands.Answer, error) {
	answer := commands.Answer{Outcome: commands.Taken, Verb: req.Verb, Run: run.ID, Text: fmt.Sprintf(
		"Run %s goes on as a compromised one: the old value of %s dies as soon as that is proven safe, and on-call is paged. "+
			"If it is the new value that leaked, type this again when the run has ended.", run.ID, run.Secret)}
	answer, err := d.once(ctx, req, answer, func(ctx context.Context, tx ledger.Tx) error {
		return d.wishCompromised(ctx, tx, req, run)
	})
	switch {
	case errors.Is(err, ledger.ErrEnded):
		return justEnded(req), nil
	case errors.Is(err, errMoved): // somebody else said so first
		return d.refuseBusy(ctx, req, run)
	}
	return answer, err
}

// wishCompromised asks run, inside tx, to go on as a compromised one.
func (d *Desk) wishCompromised(ctx context.Context, tx ledger.Tx, req commands.Request, run ledger.Run) error {
	now, err := tx.Run(ctx, run.ID)
	if err != nil {
		return err
	}
	if !now.State.Final() && !escalates(now) {
		return errMoved
	}
	return d.wish(ctx, tx, run, ledger.WishCompromised, d.entry(req, run, "escalated"))
}

// active finds the unfinished rotation of what a request names.
func (d *Desk) active(ctx context.Context, tx ledger.Tx, req commands.Request) (ledger.Run, error) {
	want := d.run(req)
	runs, err := tx.Runs(ctx, ledger.RunFilter{Secret: want.Secret, Environment: want.Environment, Kind: ledger.KindRotate, Active: true, Limit: 1})
	if err != nil {
		return ledger.Run{}, err
	}
	if len(runs) == 0 {
		return ledger.Run{}, ledger.ErrNotFound
	}
	return runs[0], nil
}
