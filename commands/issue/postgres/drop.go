package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"rekey/commands/issue"
)

// dropper takes every right of a role from it and drops it. DROP OWNED would do the
// same in one line, and would drop what the role came to own a moment ago too.
type dropper struct {
	db   *admin
	tx   pgx.Tx
	from estate
}

// drop drops r, which must own nothing, in tx. The server refuses, and everything is
// taken back, where something still depends on the role.
func (a *admin) drop(ctx context.Context, tx pgx.Tx, from estate) error {
	d := &dropper{db: a, tx: tx, from: from}
	if err := d.act(ctx); err != nil {
		return err
	}
	if err := d.revoke(ctx); err != nil {
		return err
	}
	for _, b := range from.defaults {
		if err := d.do(ctx, "taking default privileges from "+from.role.name, b.SQL(true)); err != nil {
			return err
		}
	}
	// Before the policies, whose locks others wait for.
	for _, p := range from.policies {
		if len(p.minus(from.role.name)) == 0 {
			return issue.Faultf("The row security policy %s on %s is for the role %s alone: give it to another role, or drop it.", p.name, p.table, from.role.name)
		}
	}
	for _, p := range from.policies {
		if err := d.do(ctx, "taking "+from.role.name+" out of the row security policy "+p.name+" on "+p.table, p.SQL(p.minus(from.role.name))); err != nil {
			return err
		}
	}
	return d.do(ctx, "dropping the role "+from.role.name, "DROP ROLE "+ident(from.role.name))
}

// act lets an admin role that is no superuser act for the role. The membership ends
// with the role.
func (d *dropper) act(ctx context.Context) error {
	own := slices.ContainsFunc(d.from.defaults, func(b byDefault) bool { return b.maker == d.from.role.name })
	if d.db.super || (!own && len(passedOn(d.from.grants, d.from.role.name)) == 0) {
		return nil
	}
	return d.do(ctx, "acting for "+d.from.role.name, "GRANT "+ident(d.from.role.name)+" TO "+ident(d.db.name))
}

// revoke takes back what the role passed on, then what it was given, each as the role
// that gave it: PostgreSQL lets nobody else revoke a grant.
func (d *dropper) revoke(ctx context.Context) error {
	type gift struct{ by, to string }
	gifts := map[gift]map[right]bool{}
	var order []gift
	add := func(g grant, by string) {
		key := gift{by, g.grantee}
		if gifts[key] == nil {
			gifts[key] = map[right]bool{}
			order = append(order, key)
		}
		// One REVOKE takes a privilege and the option to pass it on.
		gifts[key][right{g.target, g.privilege}] = false
	}
	role := d.from.role.name
	for _, g := range passedOn(d.from.grants, role) {
		add(g, role)
	}
	for _, g := range d.from.grants {
		switch {
		case g.grantee != role:
		case g.grantor == g.owner:
			add(g, "") // whoever may act for the owner does
		default:
			add(g, g.grantor)
		}
	}
	for _, key := range order {
		for _, sql := range revokeSQL(gifts[key], public(key.to)) {
			if key.by != "" {
				sql = "SET LOCAL ROLE " + ident(key.by) + "; " + sql + "; RESET ROLE"
			}
			if err := d.do(ctx, "taking rights back ("+clip(sql)+")", sql); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *dropper) do(ctx context.Context, doing, sql string) error {
	return explain(doing, run(ctx, d.tx, sql))
}
