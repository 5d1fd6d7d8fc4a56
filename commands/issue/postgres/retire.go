package postgres

import (
	"context"
	"fmt"
	"time"

	"rekey/audit"
	"rekey/commands/issue"
)

// again is how soon sessions are looked at again.
const again = 30 * time.Second

// Retire takes the login from the old role. In a compromised rotation it ends the
// role's sessions at once; otherwise it waits until nobody has one.
func (i *Issuer) Retire(ctx context.Context, o issue.Order) (string, error) {
	t, err := read(o)
	if err != nil {
		return "", err
	}
	if !o.Compromised {
		if err := i.unused(ctx, t); err != nil {
			return "", err
		}
	}
	if err := i.setLogin(ctx, t, t.old, false); err != nil {
		return "", err
	}
	if !o.Compromised {
		// A session that slipped in before the login was taken may work to its end.
		if err := i.unused(ctx, t); err != nil {
			return "", err
		}
		return fmt.Sprintf("The role %s can no longer log in and has no sessions.", t.old), nil
	}
	n, err := i.end(ctx, t, t.old)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("The role %s can no longer log in; %s of it ended.", t.old, audit.Count(n, "session")), nil
}

// Revive gives the login back.
func (i *Issuer) Revive(ctx context.Context, o issue.Order) (string, error) {
	t, err := read(o)
	if err != nil {
		return "", err
	}
	if err := i.setLogin(ctx, t, t.old, true); err != nil {
		return "", err
	}
	return fmt.Sprintf("The role %s can log in again.", t.old), nil
}

// unused is a Wait that names the sessions of the old role, nil where there are none.
func (i *Issuer) unused(ctx context.Context, t task) error {
	all, err := i.users(ctx, t, t.old)
	if err != nil || len(all) == 0 {
		return err
	}
	return &issue.Wait{
		Sentence: fmt.Sprintf("Still connected as the role %s: %s.", t.old, list(name(all), 5)),
		Again:    again,
	}
}
