package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/journal"
	"rekey/commands/rotate"
	"rekey/commands/schedule"
)

// digest answers what the daily message would say now.
func (d *Desk) digest(ctx context.Context) (commands.Answer, error) {
	digest, err := d.dailyDigest(ctx, d.cfg.Now())
	if err != nil {
		return commands.Answer{}, err
	}
	text := fmt.Sprintf("%d overdue, %d due within %d days, %d waiting for a person.",
		len(digest.Overdue), len(digest.Due), schedule.Soon, len(digest.Waiting))
	return commands.Answer{Outcome: commands.Told, Verb: commands.Digest, Text: text, Digest: &digest}, nil
}

// dailyDigest reads what there is to tell.
func (d *Desk) dailyDigest(ctx context.Context, now time.Time) (commands.DailyDigest, error) {
	var rows []commands.SecretRow
	var waiting []commands.DigestRun
	err := d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) (err error) {
		if rows, err = d.rows(ctx, tx); err != nil {
			return err
		}
		for i, r := range rows {
			if rows[i].First, err = d.first(ctx, tx, r, now); err != nil {
				return err
			}
		}
		waiting, err = d.waiting(ctx, tx, rows)
		return err
	})
	if err != nil {
		return commands.DailyDigest{}, fmt.Errorf("reading what is due: %w", err)
	}
	return schedule.Digest(d.cfg.Catalogue, rows, waiting, now), nil
}

// first is the environment in which a row has to be rotated before a routine rotation
// may start in its own; "" when it may.
func (d *Desk) first(ctx context.Context, tx ledger.Tx, r commands.SecretRow, now time.Time) (string, error) {
	first, within, ok := d.rehearsedIn(commands.Request{Secret: r.Name, Environment: r.Environment})
	if !ok {
		return "", nil
	}
	last, err := succeeded(ctx, tx, r.Name, first)
	if err == nil && !last.IsZero() && !last.Before(now.Add(-within)) {
		first = ""
	}
	return first, err
}

// waiting are the runs that a person has to look at: under way and waiting for more than
// the end of the overlap, or ended in a state that nobody has mended since.
func (d *Desk) waiting(ctx context.Context, tx ledger.Tx, rows []commands.SecretRow) (out []commands.DigestRun, err error) {
	active, err := tx.Runs(ctx, ledger.RunFilter{Kind: ledger.KindRotate, Active: true, Limit: journal.MaxMembers})
	if err != nil {
		return nil, err
	}
	for _, r := range active {
		steps, err := tx.Steps(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		if says := waitsFor(r, steps); says != "" {
			out = append(out, digestRun(r, says))
		}
	}
	for _, row := range rows {
		last, err := tx.Runs(ctx, ledger.RunFilter{Secret: row.Name, Environment: row.Environment, Kind: ledger.KindRotate, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(last) == 1 {
			if says := leftBehind(last[0]); says != "" {
				out = append(out, digestRun(last[0], says))
			}
		}
	}
	slices.SortStableFunc(out, func(a, b commands.DigestRun) int { return a.Asked.Compare(b.Asked) })
	return out, nil
}

func digestRun(r ledger.Run, says string) commands.DigestRun {
	return commands.DigestRun{Run: r.ID, Secret: r.Secret, Environment: r.Environment, By: r.Actor, Asked: r.CreatedAt, Says: says}
}

// waitsFor is what a run under way waits for, "" when that is nobody's to bring.
func waitsFor(r ledger.Run, steps []ledger.Step) string {
	if r.State != ledger.Waiting {
		return ""
	}
	for _, s := range steps {
		if s.State == ledger.StepRunning && s.Kind != rotate.KindOverlap {
			return strings.TrimSpace(s.Note)
		}
	}
	return ""
}

// leftBehind is what a run that has ended leaves to do, until the secret is rotated again.
func leftBehind(r ledger.Run) string {
	switch {
	case r.State == ledger.Failed:
		return strings.TrimSpace("It stopped, and a person must look: /rotate status " + r.ID + ". " + r.Problem)
	case r.State == ledger.RolledBack && r.Mode == string(commands.Compromised):
		return fmt.Sprintf("It was rolled back, so the value that leaked is still valid. Mend what went wrong, then type: /rotate %s compromised in %s", r.Secret, r.Environment)
	}
	return ""
}

// PostDigest has the daily digest posted once its time of day has come: once for each
// day, however many processes ask and however often. Nobody asked for it, so no policy
// is asked; it changes nothing but that the channel is told.
//
// Whether the day has anything to tell is decided once as well, so that what falls due in
// the afternoon waits for the next morning.
func (d *Desk) PostDigest(ctx context.Context, now time.Time) error {
	day, ok := schedule.DigestDay(d.cfg.Catalogue.Schedule, now)
	if !ok {
		return nil
	}
	id := journal.Digest + "/" + day
	// This is asked every minute, and nearly always the day is done.
	err := d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.Request(ctx, id)
		return err
	})
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, ledger.ErrNotFound):
		return fmt.Errorf("looking for the digest of %s: %w", day, err)
	}
	digest, err := d.dailyDigest(ctx, now)
	if err != nil {
		return err
	}
	memo := ""
	if !digest.Silent() {
		if memo, err = digest.Memo(); err != nil {
			return err
		}
	}
	err = d.cfg.Store.Update(ctx, func(ctx context.Context, tx ledger.Tx) error {
		if err := tx.InsertRequest(ctx, ledger.Request{ID: id, At: now, Answer: memo}); err != nil || memo == "" {
			return err
		}
		return journal.Announce(ctx, tx, d.cfg.Queue, id, now)
	})
	if errors.Is(err, ledger.ErrDuplicate) {
		return nil // another process was faster
	}
	if err != nil {
		return fmt.Errorf("recording the digest of %s: %w", day, err)
	}
	return nil
}
