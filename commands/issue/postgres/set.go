package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rekey/commands/issue"
)

// Set makes the new role, or finishes the one an earlier call made, in one
// transaction. Nobody else sees it half made.
func (i *Issuer) Set(ctx context.Context, o issue.Order) (string, error) {
	t, err := read(o)
	if err != nil {
		return "", err
	}
	password, err := t.newPassword()
	if err != nil {
		return "", err
	}
	verifier, err := verifier(password, i.random)
	if err != nil {
		return "", err
	}
	db, err := i.admin(ctx, t)
	if err != nil {
		return "", err
	}
	defer db.close(ctx)
	var note string
	err = db.in(ctx, o, func(tx pgx.Tx) error {
		c, err := i.make(ctx, db, t, tx, verifier)
		if err != nil {
			return err
		}
		if err := c.admit(ctx); err != nil {
			return err
		}
		note = fmt.Sprintf("The role %s can log in and may do what %s may: %s.", t.new, t.old, c.from)
		return nil
	})
	if err != nil {
		return "", err
	}
	return note, nil
}

// make makes the role with all its rights but row security policies, and compares.
func (i *Issuer) make(ctx context.Context, db *admin, t task, tx pgx.Tx, verifier string) (*copier, error) {
	old, err := t.oldRole(ctx, tx)
	if err != nil {
		return nil, err
	}
	from, err := survey(ctx, tx, old)
	if err != nil {
		return nil, explain("reading what the role may do", err)
	}
	now, err := find(ctx, tx, t.new)
	if err != nil {
		return nil, explain("looking for the role "+t.new, err)
	}
	c := &copier{db: db, task: t, tx: tx, from: from}
	switch {
	case now == nil:
		err = c.do(ctx, "making the role "+t.new, makeSQL(t.new, verifier, *old)+"; COMMENT ON ROLE "+ident(t.new)+" IS "+literal(t.mark))
	case now.comment != t.mark:
		return nil, issue.Faultf("There is a role %s that this run did not make; it is left alone. Drop it, or start another run.", t.new)
	default:
		err = c.do(ctx, "setting up the role "+t.new, alterSQL(t.new, verifier, *old, *now))
	}
	if err != nil {
		return nil, err
	}
	if err := c.give(ctx); err != nil {
		return nil, err
	}
	if err := c.compare(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// oldRole reads the role in use, and refuses one that cannot be copied.
func (t task) oldRole(ctx context.Context, tx pgx.Tx) (*role, error) {
	r, err := find(ctx, tx, t.old)
	switch {
	case err != nil:
		return nil, explain("looking for the role "+t.old, err)
	case r == nil:
		return nil, issue.Faultf("The server of the admin URL has no role %s.", t.old)
	case r.super:
		return nil, issue.Faultf("The role %s is a superuser: an application must not be one, and rekey makes no others. Give it a role of its own first.", t.old)
	}
	return r, nil
}
