package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/secret"
	"rekey/commands/store"
)

// refreshEvery is how often the guard takes up fingerprints that other processes
// recorded.
const refreshEvery = 2 * time.Second

// learn teaches the guard every value there is to know of: those recorded by earlier
// runs and those in the stores now. A value that cannot be read is logged, not
// fatal: rekey may well be what its owner reaches for to mend it.
func (a *App) learn(ctx context.Context) error {
	if err := a.refresh(ctx); err != nil {
		return err
	}
	var live []ledger.Fingerprint
	for _, s := range a.cfg.Catalogue.Secrets {
		for _, p := range s.Places {
			live = append(live, a.readPlace(ctx, s, p)...)
		}
	}
	a.guard.Add(live)
	return nil
}

func (a *App) readPlace(ctx context.Context, s secret.Secret, p secret.Place) []ledger.Fingerprint {
	var out []ledger.Fingerprint
	for _, u := range p.Uses {
		c, ok := a.cfg.Catalogue.Consumer(p.Environment, u.Consumer)
		if !ok {
			continue
		}
		st, ok := a.stores[c.Store]
		if !ok {
			continue
		}
		state, err := st.Read(ctx, store.Ref{Location: c.Location, Variable: u.Variable, Previous: u.Previous})
		if err != nil {
			a.log.Warn("a value cannot be read", "secret", s.Name, "consumer", c.Name, "cause", err.Error())
			continue
		}
		for _, v := range []secret.Value{state.Current, state.Previous} {
			if !v.IsZero() {
				out = append(out, secret.Fingerprints(a.key, s.Name, p.Environment, "live", v)...)
			}
		}
	}
	return out
}

// tracer answers what finds the values of one secret: those recorded by runs, the retired
// ones too, and those in the stores now.
func (a *App) tracer(ctx context.Context, name, environment string) (*secret.Tracer, error) {
	var known []ledger.Fingerprint
	err := a.store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		all, err := tx.Fingerprints(ctx)
		known = slices.DeleteFunc(all, func(f ledger.Fingerprint) bool { return f.Secret != name || f.Environment != environment })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading fingerprints: %w", err)
	}
	s, _ := a.cfg.Catalogue.Secret(name)
	for _, p := range s.Places {
		if p.Environment == environment {
			known = append(known, a.readPlace(ctx, s, p)...)
		}
	}
	return secret.NewTracer(a.key, known), nil
}

// refresh takes up the fingerprints in the database.
func (a *App) refresh(ctx context.Context) error {
	var known []ledger.Fingerprint
	err := a.store.View(ctx, func(ctx context.Context, tx ledger.Tx) error {
		var err error
		known, err = tx.Fingerprints(ctx)
		return err
	})
	if err != nil {
		return err
	}
	a.guard.Add(known)
	return nil
}

// keepLearning refreshes the guard until ctx ends.
func (a *App) keepLearning(ctx context.Context) {
	t := time.NewTicker(refreshEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := a.refresh(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("reading fingerprints", "cause", err.Error())
		}
	}
}
