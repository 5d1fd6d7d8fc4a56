package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
	"rekey/commands/schedule"
)

// list answers every secret with its dates.
func (d *Desk) list(ctx context.Context) (commands.Answer, error) {
	a := commands.Answer{Outcome: commands.Told, Verb: commands.List}
	err := d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) (err error) {
		a.Secrets, err = d.rows(ctx, tx)
		return err
	})
	if err != nil {
		return commands.Answer{}, fmt.Errorf("listing the secrets: %w", err)
	}
	a.Text = fmt.Sprintf("%d secrets in the catalogue.", len(d.cfg.Catalogue.Secrets))
	return a, nil
}

// rows are all secrets with their dates, in the catalogue's order.
func (d *Desk) rows(ctx context.Context, tx ledger.Tx) (rows []commands.SecretRow, err error) {
	for _, s := range d.cfg.Catalogue.Secrets {
		for _, p := range s.Places {
			row := commands.SecretRow{
				Name: s.Name, Environment: p.Environment, Purpose: s.Purpose, Owner: s.Owner,
				Risk: string(s.Risk), Procedure: string(s.Procedure), LastRotated: s.LastRotated,
			}
			runs, err := tx.Runs(ctx, ledger.RunFilter{Secret: s.Name, Environment: p.Environment, Kind: ledger.KindRotate})
			if err != nil {
				return nil, err
			}
			for _, r := range runs {
				if !r.State.Final() {
					row.Active = r.ID
				}
				if r.State == ledger.Succeeded && r.EndedAt.After(row.LastRotated) {
					row.LastRotated = r.EndedAt
				}
			}
			row.NextDue = s.NextDue(row.LastRotated)
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// schedule answers every secret in the order in which it wants attention.
func (d *Desk) schedule(ctx context.Context) (commands.Answer, error) {
	a, err := d.list(ctx)
	if err != nil {
		return a, err
	}
	a.Verb, a.Secrets = commands.Schedule, schedule.Sorted(a.Secrets)
	overdue := 0
	for _, r := range a.Secrets {
		if schedule.Overdue(r, d.cfg.Now()) {
			overdue++
		}
	}
	a.Text = fmt.Sprintf("%d overdue of %d.", overdue, len(a.Secrets))
	return a, nil
}

// status answers one run, or everything under way and the newest few that ended.
func (d *Desk) status(ctx context.Context, req commands.Request) (commands.Answer, error) {
	a := commands.Answer{Outcome: commands.Told, Verb: commands.Status}
	err := d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		a.Runs, a.Steps = nil, map[string][]ledger.Step{}
		var err error
		if req.Run != "" {
			var r ledger.Run
			if r, err = tx.Run(ctx, req.Run); err == nil {
				a.Runs = []ledger.Run{r}
			}
			if err == nil && r.Kind == ledger.KindBatch {
				var members []ledger.Run
				members, err = tx.Runs(ctx, ledger.RunFilter{Batch: r.ID, Limit: journal.MaxMembers})
				slices.SortFunc(members, func(a, b ledger.Run) int { return a.Turn - b.Turn })
				a.Runs = append(a.Runs, members...)
			}
		} else {
			a.Runs, err = d.recent(ctx, tx)
		}
		if err != nil {
			return err
		}
		for _, r := range a.Runs {
			if a.Steps[r.ID], err = tx.Steps(ctx, r.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, ledger.ErrNotFound) {
		a.Outcome, a.Text = commands.Unusable, "There is no run of that number; /rotate status lists the newest ones."
		return a, nil
	}
	if err != nil {
		return commands.Answer{}, fmt.Errorf("reading the runs: %w", err)
	}
	a.Text = summary(a.Runs)
	return a, nil
}

// recent answers what is under way, and the newest five that have ended.
func (d *Desk) recent(ctx context.Context, tx ledger.Tx) ([]ledger.Run, error) {
	runs, err := tx.Runs(ctx, ledger.RunFilter{Limit: 50})
	if err != nil {
		return nil, err
	}
	var out []ledger.Run
	ended := 0
	for _, r := range runs {
		if r.State.Final() {
			if ended++; ended > 5 {
				continue
			}
		}
		out = append(out, r)
	}
	return out, nil
}

func summary(runs []ledger.Run) string {
	active := 0
	for _, r := range runs {
		if !r.State.Final() {
			active++
		}
	}
	switch {
	case len(runs) == 0:
		return "No run was ever started."
	case len(runs) == 1:
		return fmt.Sprintf("Run %s: %s %s in %s, %s.", runs[0].ID, runs[0].Kind, runs[0].Secret, runs[0].Environment, runs[0].State)
	case active == 0:
		return "Nothing is under way. The newest runs, as of " + runs[0].CreatedAt.UTC().Format(time.DateOnly) + ":"
	}
	return fmt.Sprintf("%d under way.", active)
}
