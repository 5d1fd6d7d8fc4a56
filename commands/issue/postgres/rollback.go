package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rekey/commands/issue"
)

// Rollback takes the login from the role this run made, ends its sessions and drops
// it. Where the application already made objects as that role, it is left without a
// login and the old role becomes a member of it, so that nothing is lost and the
// application reaches what it made.
func (i *Issuer) Rollback(ctx context.Context, o issue.Order) (string, error) {
	t, err := read(o)
	if err != nil {
		return "", err
	}
	db, err := i.admin(ctx, t)
	if err != nil {
		return "", err
	}
	defer db.close(ctx)
	if stop, err := t.rollbackStop(ctx, db); err != nil || stop != "" {
		return stop, err
	}
	if err := db.setLogin(ctx, t, t.new, false); err != nil {
		return "", err
	}
	if _, err := i.end(ctx, t, t.new); err != nil {
		return "", err
	}
	note := fmt.Sprintf("The role %s is dropped.", t.new)
	err = db.in(ctx, o, func(tx pgx.Tx) error {
		now, err := find(ctx, tx, t.new)
		if err != nil || now == nil {
			return explain("looking for the role "+t.new, err)
		}
		from, err := survey(ctx, tx, now)
		if err != nil {
			return explain("reading what the role has", err)
		}
		if !from.has.keeps() {
			return db.drop(ctx, tx, from)
		}
		note = fmt.Sprintf("The role %s stays, without a login, because it %s; %s is now a member of it. %s",
			t.new, from.has, t.old, from.has.remedy(t.new, t.with.Owner))
		// A compromised rotation may have made the new role a member of the old one.
		return explain("making "+t.old+" a member of "+t.new, run(ctx, tx,
			"REVOKE "+ident(t.old)+" FROM "+ident(t.new)+"; GRANT "+ident(t.new)+" TO "+ident(t.old)))
	})
	if err != nil {
		return "", err
	}
	return note, nil
}

// rollbackStop answers why there is nothing to roll back, "" where there is. Where the
// old role cannot log in it refuses: nothing would be left to connect with.
func (t task) rollbackStop(ctx context.Context, db *admin) (string, error) {
	tx, err := db.begin(ctx, t.order)
	if err != nil {
		return "", err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	now, err := find(ctx, tx, t.new)
	if err != nil {
		return "", explain("looking for the role "+t.new, err)
	}
	if now == nil {
		return fmt.Sprintf("There is no role %s to remove.", t.new), nil
	}
	if now.comment != t.mark {
		return fmt.Sprintf("The role %s was not made by this run and is left alone.", t.new), nil
	}
	old, err := find(ctx, tx, t.old)
	if err != nil {
		return "", explain("looking for the role "+t.old, err)
	}
	if old == nil || !old.login {
		return "", issue.Faultf("The role %s cannot log in any more, so %s is not removed: nothing would be left to connect with.", t.old, t.new)
	}
	return "", nil
}
