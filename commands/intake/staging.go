package intake

import (
	"context"
	"fmt"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
)

// staging answers why a routine rotation may not start here yet: the same secret must
// have been rotated with success in the environment that comes first. A compromised
// secret does not wait for that; the security log keeps that it was skipped. A secret
// that does not exist there has nothing to rehearse.
func (d *Desk) staging(ctx context.Context, req commands.Request) (refusal string, err error) {
	first, within, ok := d.rehearsedIn(req)
	if !ok || req.Mode == commands.Compromised {
		return "", nil
	}
	sec, _ := d.cfg.Catalogue.Secret(req.Secret)
	env, _ := d.cfg.Catalogue.Environment(req.Environment)
	var last time.Time
	err = d.cfg.Store.View(ctx, func(ctx context.Context, tx ledger.Tx) (err error) {
		last, err = succeeded(ctx, tx, sec.Name, first)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("looking for the rotation in %s: %w; %w", first, err, ledger.ErrNotStarted)
	}
	if !last.IsZero() && !last.Before(d.cfg.Now().Add(-within)) {
		return "", nil
	}
	when := "has not been rotated there yet"
	if !last.IsZero() {
		when = "was last rotated there on " + last.UTC().Format("2 Jan 2006")
	}
	return fmt.Sprintf("%s is rotated in %s first, at most %d days before %s, and %s. Type: /rotate %s routine in %s",
		sec.Name, first, int(within/(24*time.Hour)), env.Name, when, sec.Name, first), nil
}

// succeeded is when a secret was last rotated by rekey; zero when it never was.
func succeeded(ctx context.Context, tx ledger.Tx, name, environment string) (last time.Time, err error) {
	runs, err := tx.Runs(ctx, ledger.RunFilter{Secret: name, Environment: environment, Kind: ledger.KindRotate})
	for _, r := range runs {
		if r.State == ledger.Succeeded && r.EndedAt.After(last) {
			last = r.EndedAt
		}
	}
	return last, err
}

// rehearsedIn names the environment that comes before the one a request is about, and
// how recent a rotation there must be.
func (d *Desk) rehearsedIn(req commands.Request) (first string, within time.Duration, ok bool) {
	env, _ := d.cfg.Catalogue.Environment(req.Environment)
	if env.After == "" {
		return "", 0, false
	}
	sec, _ := d.cfg.Catalogue.Secret(req.Secret)
	_, ok = d.cfg.Catalogue.Place(sec.Name, env.After)
	within = env.AfterWithin
	if within == 0 {
		within = 14 * 24 * time.Hour
	}
	return env.After, within, ok
}
