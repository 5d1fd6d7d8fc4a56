package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/commands/journal"
)

// Scene reads, in tx, everything there is to tell of a run as of now; ledger.ErrNotFound.
func Scene(ctx context.Context, tx ledger.Tx, id string, now time.Time) (render.Scene, error) {
	s, err := scene(ctx, tx, id, now)
	if err != nil || s.Run.Kind != ledger.KindBatch {
		return s, err
	}
	s.Others = render.Others(s.Run)
	members, err := tx.Runs(ctx, ledger.RunFilter{Batch: id, Limit: journal.MaxMembers})
	if err != nil {
		return s, fmt.Errorf("reading the members of the batch: %w", err)
	}
	slices.SortFunc(members, func(a, b ledger.Run) int { return a.Turn - b.Turn })
	for _, m := range members {
		one, err := scene(ctx, tx, m.ID, now)
		if err != nil {
			return s, err
		}
		s.Members = append(s.Members, one)
	}
	return s, nil
}

// scene is Scene of a run by itself.
func scene(ctx context.Context, tx ledger.Tx, id string, now time.Time) (render.Scene, error) {
	s := render.Scene{Now: now}
	var err error
	if s.Run, err = tx.Run(ctx, id); err != nil {
		return s, fmt.Errorf("reading the run: %w", err)
	}
	if s.Steps, err = tx.Steps(ctx, id); err != nil {
		return s, fmt.Errorf("reading the steps: %w", err)
	}
	entries, err := tx.Entries(ctx, id)
	if err != nil {
		return s, fmt.Errorf("reading the security log: %w", err)
	}
	s.Anchor = anchor(entries)
	if len(s.Run.Report) > 0 {
		s.Report = new(audit.Report)
		if err := json.Unmarshal(s.Run.Report, s.Report); err != nil {
			return s, fmt.Errorf("reading the run's report: %w", err)
		}
	}
	return s, nil
}
