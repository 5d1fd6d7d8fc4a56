package sqlstore

import (
	"context"

	"rekey/audit/ledger"
)

const stepColumns = "run, idx, key, kind, stage, consumer, title, state, token, attempt, note, started, ended"

// PutStep implements ledger.Tx.
func (t *Tx) PutStep(ctx context.Context, s ledger.Step) error {
	_, err := t.exec(ctx, "recording step", "INSERT INTO rekey_steps ("+stepColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (run, idx) DO UPDATE SET key = excluded.key, kind = excluded.kind, stage = excluded.stage,
			consumer = excluded.consumer, title = excluded.title, state = excluded.state, token = excluded.token,
			attempt = excluded.attempt, note = excluded.note, started = excluded.started, ended = excluded.ended`,
		s.Run, int64(s.Index), s.Key, s.Kind, s.Stage, s.Consumer, s.Title, string(s.State), s.Token,
		int64(s.Attempt), s.Note, micros(s.Started), micros(s.Ended))
	return err
}

// Steps implements ledger.Tx.
func (t *Tx) Steps(ctx context.Context, run string) (steps []ledger.Step, err error) {
	err = t.each(ctx, "listing steps", func(rows Rows) error {
		var (
			s                              ledger.Step
			index, attempt, started, ended int64
			state                          string
		)
		if err := rows.Scan(&s.Run, &index, &s.Key, &s.Kind, &s.Stage, &s.Consumer, &s.Title, &state, &s.Token,
			&attempt, &s.Note, &started, &ended); err != nil {
			return err
		}
		s.Index, s.Attempt, s.State = int(index), int(attempt), ledger.StepState(state)
		s.Started, s.Ended = timeOf(started), timeOf(ended)
		steps = append(steps, s)
		return nil
	}, "SELECT "+stepColumns+" FROM rekey_steps WHERE run = $1 ORDER BY idx", run)
	return steps, err
}
