package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rekey/commands/issue"
)

// loginSQL lets a role log in or not.
func loginSQL(role string, may bool) string {
	if may {
		return "ALTER ROLE " + ident(role) + " LOGIN"
	}
	return "ALTER ROLE " + ident(role) + " NOLOGIN"
}

// setLogin lets a role log in or not. A role that is gone cannot log in: that is a
// Fault only where it should.
func (i *Issuer) setLogin(ctx context.Context, t task, name string, may bool) error {
	db, err := i.admin(ctx, t)
	if err != nil {
		return err
	}
	defer db.close(ctx)
	return db.setLogin(ctx, t, name, may)
}

func (a *admin) setLogin(ctx context.Context, t task, name string, may bool) error {
	return a.in(ctx, t.order, func(tx pgx.Tx) error {
		r, err := find(ctx, tx, name)
		switch {
		case err != nil:
			return explain("looking for the role "+name, err)
		case r == nil && may:
			return issue.Faultf("It is too late: the role %s has been dropped.", name)
		case r == nil || r.login == may:
			return nil
		}
		return explain(fmt.Sprintf("changing the login of %s", name), run(ctx, tx, loginSQL(name, may)))
	})
}
