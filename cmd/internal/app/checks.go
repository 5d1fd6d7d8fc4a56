package app

import (
	"context"
	"net/http"
	"time"

	"rekey/commands/checklist"
	"rekey/commands/issue"
	"rekey/commands/reload/traps"
	"rekey/commands/rotate"
	"rekey/commands/secret"
	"rekey/commands/sessions"
	"rekey/commands/usage"
)

// checks is what a rotation sees of the estate around a secret.
type checks struct {
	list  *checklist.Checklist
	usage *usage.Looker
	guard *secret.Guard
}

var _ rotate.Checks = (*checks)(nil)

func (a *App) newChecks() (*checks, error) {
	list, err := checklist.New(checklist.Deps{
		Guard: a.guard, SentryToken: a.cfg.Settings.SentryAuthToken.Reveal,
		SentryClient: &http.Client{
			Transport: a.outward(), Timeout: 30 * time.Second,
			// The token goes to the host that the catalogue names and to no other.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	})
	if err != nil {
		return nil, err
	}
	looker, err := usage.New(usage.Config{Guard: a.guard})
	if err != nil {
		return nil, err
	}
	return &checks{list: list, usage: looker, guard: a.guard}, nil
}

// Run implements rotate.Checks.
func (c *checks) Run(ctx context.Context, s rotate.Subject, live secret.Value, since time.Time) (seen, failed []string) {
	return checklist.Split(c.list.Run(ctx, checklist.Input{
		Environment: s.Environment, Secret: s.Secret, Place: s.Place, Live: live, Since: since,
	}))
}

// Usage implements rotate.Checks.
func (c *checks) Usage(ctx context.Context, sources []secret.UsageSource, since time.Time) (issue.Usage, error) {
	return c.usage.Look(ctx, sources, since)
}

// Count implements rotate.Checks.
func (c *checks) Count(ctx context.Context, m *secret.Sessions) (string, error) {
	minted, err := sessions.Count(ctx, m, c.guard)
	if err != nil {
		return "", err
	}
	return minted.Sentence(), nil
}

// End implements rotate.Checks.
func (c *checks) End(ctx context.Context, m *secret.Sessions) (string, error) {
	return sessions.End(ctx, m, c.guard)
}

// Tidy implements rotate.Checks.
func (c *checks) Tidy(ctx context.Context, m *secret.Sessions) (string, error) {
	return sessions.Tidy(ctx, m, c.guard)
}

// look is a rotate.Look: what must be settled before a rotation, and what is said.
func (c *checks) look(ctx context.Context, consumer secret.Consumer, variables []string) (refuses, warns []string) {
	for _, t := range traps.Look(ctx, consumer, variables) {
		if t.Severity == traps.Refuse {
			refuses = append(refuses, t.Sentence)
		} else {
			warns = append(warns, t.Sentence)
		}
	}
	return refuses, warns
}
