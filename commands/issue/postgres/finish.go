package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rekey/commands/issue"
)

// Finish drops the old role. It refuses while somebody is connected as it, while it
// owns anything, and while the role that replaces it cannot log in. In a compromised
// rotation a role that owns something is left, without a login, and the note says so:
// the leaked password is dead either way.
func (i *Issuer) Finish(ctx context.Context, o issue.Order) (string, error) {
	t, err := read(o)
	if err != nil {
		return "", err
	}
	if _, err := t.newPassword(); err != nil {
		return "", err
	}
	if err := i.unused(ctx, t); err != nil {
		return "", err
	}
	db, err := i.admin(ctx, t)
	if err != nil {
		return "", err
	}
	defer db.close(ctx)
	note := ""
	err = db.in(ctx, o, func(tx pgx.Tx) error {
		now, err := find(ctx, tx, t.new)
		if err != nil {
			return explain("looking for the role "+t.new, err)
		}
		if now == nil || !now.login {
			return issue.Faultf("The role %s, which replaces %s, cannot log in: %s is not dropped.", t.new, t.old, t.old)
		}
		old, err := find(ctx, tx, t.old)
		if err != nil {
			return explain("looking for the role "+t.old, err)
		}
		if old == nil {
			note = fmt.Sprintf("The role %s is gone.", t.old)
			return nil
		}
		from, err := survey(ctx, tx, old)
		if err != nil {
			return explain("reading what the role has", err)
		}
		switch {
		case !from.has.keeps():
			note = fmt.Sprintf("The role %s is dropped.", t.old)
			return db.drop(ctx, tx, from)
		case !o.Compromised:
			return from.has.fault(t.old, t.with.Owner)
		}
		note = fmt.Sprintf("The role %s stays, without a login, because it %s. %s", t.old, from.has, from.has.remedy(t.old, t.with.Owner))
		if !old.login {
			return nil
		}
		return explain("taking the login from "+t.old, run(ctx, tx, loginSQL(t.old, false)))
	})
	if err != nil {
		return "", err
	}
	return note, nil
}
