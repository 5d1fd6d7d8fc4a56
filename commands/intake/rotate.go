package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/rotate"
)

// costWithin bounds the counting of what a rotation ends: the person waits for it.
const costWithin = time.Second

// rotate takes a rotation, or tells what it would do, or asks back.
func (d *Desk) rotate(ctx context.Context, req commands.Request) (commands.Answer, error) {
	subject, err := rotate.NewSubject(d.cfg.Catalogue, d.run(req), func(context.Context) error { return nil })
	if err != nil {
		return unusable(req, err.Error()), nil
	}
	if req.DryRun {
		return d.plan(ctx, req, subject)
	}
	if refusal, err := d.staging(ctx, req); err != nil || refusal != "" {
		if err != nil {
			return commands.Answer{}, err
		}
		return d.once(ctx, req, unusable(req, refusal), func(ctx context.Context, tx ledger.Tx) error {
			return tx.Append(ctx, d.entry(req, d.run(req), "refused"))
		})
	}
	if !req.Confirmed {
		if ask := d.question(ctx, req, subject); ask != nil {
			return commands.Answer{Outcome: commands.Asking, Verb: req.Verb, Text: ask.Cost + " Nothing was started yet.", Confirm: ask}, nil
		}
	}
	return d.start(ctx, req)
}

// plan tells what a rotation would touch. Nothing is recorded: nothing was done.
func (d *Desk) plan(ctx context.Context, req commands.Request, s rotate.Subject) (commands.Answer, error) {
	rows, err := d.cfg.Planner.Describe(ctx, s)
	var fault *rotate.Fault
	if errors.As(err, &fault) {
		return unusable(req, "It cannot be planned: "+d.scrub(fault.Sentence)), nil
	}
	if err != nil {
		return commands.Answer{}, fmt.Errorf("planning the rotation: %w; %w", err, ledger.ErrNotStarted)
	}
	return commands.Answer{
		Outcome: commands.Told, Verb: req.Verb, Plan: rows,
		Text: fmt.Sprintf("A %s rotation of %s in %s would take these %d steps. Nothing was touched.", req.Mode, s.Secret.Name, s.Environment.Name, len(rows)),
	}, nil
}

// question is what the person has to confirm, nil when nothing has.
func (d *Desk) question(ctx context.Context, req commands.Request, s rotate.Subject) *commands.Confirm {
	within, cancel := context.WithTimeout(ctx, costWithin)
	defer cancel()
	cost, err := d.cfg.Planner.Cost(within, s)
	if err != nil {
		cost = "What this ends could not be counted in time."
	}
	if cost == "" && !s.Secret.Confirm {
		return nil
	}
	if cost == "" {
		cost = fmt.Sprintf("%s: %s.", s.Secret.Name, s.Secret.Impact)
	}
	req.Confirmed, req.Secret, req.Environment = true, s.Secret.Name, s.Environment.Name
	return &commands.Confirm{Request: req, Cost: d.scrub(cost), Yes: "Rotate " + s.Secret.Name + " now"}
}

func unusable(req commands.Request, text string) commands.Answer {
	return commands.Answer{Outcome: commands.Unusable, Verb: req.Verb, Text: text}
}
