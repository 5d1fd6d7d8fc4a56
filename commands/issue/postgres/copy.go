package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"rekey/audit"
	"rekey/commands/issue"
)

// estate is everything a role may do, read in one transaction.
type estate struct {
	role     *role
	grants   []grant
	groups   []membership
	members  []membership
	settings []setting
	defaults []byDefault
	policies []rowPolicy
	has      belongings
}

// survey reads the estate of r.
func survey(ctx context.Context, tx pgx.Tx, r *role) (e estate, err error) {
	e.role = r
	if e.grants, err = grants(ctx, tx, r.oid); err != nil {
		return e, err
	}
	if e.groups, err = groups(ctx, tx, r.oid); err != nil {
		return e, err
	}
	if e.members, err = members(ctx, tx, r.oid); err != nil {
		return e, err
	}
	if e.settings, err = settings(ctx, tx, r.oid); err != nil {
		return e, err
	}
	if e.defaults, err = defaults(ctx, tx, r.oid); err != nil {
		return e, err
	}
	if e.policies, err = policies(ctx, tx, r.oid); err != nil {
		return e, err
	}
	e.has, err = has(ctx, tx, r.oid)
	return e, err
}

// String counts it, for people.
func (e estate) String() string {
	s := audit.Count(len(rights(e.grants, e.role.name)), "grant") + ", " + audit.Count(len(e.groups), "membership") + ", " +
		audit.Count(len(e.settings), "setting") + ", "
	if n := len(e.defaults); n == 1 {
		s += "1 default privilege, "
	} else {
		s += fmt.Sprintf("%d default privileges, ", n)
	}
	if n := len(e.policies); n == 1 {
		return s + "1 row security policy"
	}
	return s + fmt.Sprintf("%d row security policies", len(e.policies))
}

// copier gives one role what another has.
type copier struct {
	db   *admin
	task task
	tx   pgx.Tx
	from estate
}

// give gives the new role everything but the policies, which take locks that others
// wait for and come last. Each statement may be repeated.
func (c *copier) give(ctx context.Context) error {
	to := c.task.new
	for _, g := range c.memberships() {
		if err := c.do(ctx, "making "+to+" a member of "+g.name, g.joinSQL(g.name, to)); err != nil {
			return err
		}
	}
	for _, m := range c.from.members {
		// Who makes a role is its administrator already.
		if m.name == c.db.name || m.name == to {
			continue
		}
		if err := c.do(ctx, "making "+m.name+" a member of "+to, m.joinSQL(to, m.name)); err != nil {
			return err
		}
	}
	wanted, err := c.settings(ctx)
	if err != nil {
		return err
	}
	for _, s := range wanted {
		if err := c.do(ctx, "setting "+s.name+" for "+to, s.SQL(to)); err != nil {
			return err
		}
	}
	for _, sql := range grantSQL(rights(c.from.grants, c.task.old), ident(to)) {
		if err := c.do(ctx, "giving "+to+" what "+c.task.old+" may do ("+clip(sql)+")", sql); err != nil {
			return err
		}
	}
	return c.as(ctx, func() error {
		for _, g := range passedOn(c.from.grants, c.task.old) {
			if g.grantee == to {
				continue
			}
			sql := grantSQL(map[right]bool{{g.target, g.privilege}: g.grantable}, public(g.grantee))[0]
			if err := c.do(ctx, "passing on what "+c.task.old+" has passed on ("+clip(sql)+")",
				"SET LOCAL ROLE "+ident(to)+"; "+sql+"; RESET ROLE"); err != nil {
				return err
			}
		}
		for _, d := range c.from.defaults {
			sql := d.of(c.task.old, to).SQL(false)
			if err := c.do(ctx, "copying default privileges ("+clip(sql)+")", sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// memberships are the groups of the old role and the one that is to own things. What
// the old role owns itself is reached by being a member of it, which a compromised
// rotation must be content with.
func (c *copier) memberships() []membership {
	all := slices.DeleteFunc(slices.Clone(c.from.groups), func(m membership) bool { return m.name == c.task.new })
	add := func(name string) {
		if !slices.ContainsFunc(all, func(m membership) bool { return m.name == name }) {
			all = append(all, membership{name: name})
		}
	}
	if c.task.with.Owner != "" {
		add(c.task.with.Owner)
	}
	if c.task.order.Compromised && len(c.from.has.owned) > 0 {
		add(c.task.old)
	}
	return all
}

// settings are those of the old role, with "$user" replaced where it means a schema
// of its own.
func (c *copier) settings(ctx context.Context) ([]setting, error) {
	changed, err := ownSchema(ctx, c.tx, c.from.role, c.from.settings)
	if err != nil {
		return nil, fmt.Errorf("looking for the schema of the role: %w", err)
	}
	all := map[string]setting{}
	for _, s := range append(slices.Clone(c.from.settings), changed...) {
		all[s.database+" "+s.name] = s
	}
	return slices.SortedFunc(maps.Values(all), func(a, b setting) int {
		return slices.Compare([]string{a.database, a.name}, []string{b.database, b.name})
	}), nil
}

// as runs do while the admin role may act as the new one, which a superuser may
// always. Nothing of that remains.
func (c *copier) as(ctx context.Context, do func() error) error {
	own := slices.ContainsFunc(c.from.defaults, func(d byDefault) bool { return d.maker == c.task.old })
	if c.db.super || (!own && len(passedOn(c.from.grants, c.task.old)) == 0) {
		return do()
	}
	me, to := ident(c.db.name), ident(c.task.new)
	if err := c.do(ctx, "acting for "+c.task.new, "GRANT "+to+" TO "+me); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return c.do(ctx, "no longer acting for "+c.task.new, "REVOKE "+to+" FROM "+me)
}

// admit adds the new role to the policies that name the old one.
func (c *copier) admit(ctx context.Context) error {
	for _, p := range c.from.policies {
		if slices.Contains(p.roles, c.task.new) {
			continue
		}
		if err := c.do(ctx, "adding "+c.task.new+" to the row security policy "+p.name+" on "+p.table, p.SQL(p.plus(c.task.new))); err != nil {
			return err
		}
	}
	return nil
}

// compare reads the new role's rights back and refuses to go on where one is missing:
// PostgreSQL only warns when it could not grant everything.
func (c *copier) compare(ctx context.Context) error {
	r, err := find(ctx, c.tx, c.task.new)
	if err != nil {
		return err
	}
	if r == nil {
		return fmt.Errorf("the role %s is gone again", c.task.new)
	}
	got, err := survey(ctx, c.tx, r)
	if err != nil {
		return err
	}
	var missing []string
	have := rights(got.grants, c.task.new)
	for want, grantable := range rights(c.from.grants, c.task.old) {
		if has, ok := have[want]; !ok || (grantable && !has) {
			missing = append(missing, want.String())
		}
	}
	for _, want := range passedOn(c.from.grants, c.task.old) {
		want.grantor = c.task.new
		if want.grantee != c.task.new && !slices.Contains(passedOn(got.grants, c.task.new), want) {
			missing = append(missing, right{want.target, want.privilege}.String()+" for "+want.grantee)
		}
	}
	for _, want := range c.from.defaults {
		if !slices.Contains(got.defaults, want.of(c.task.old, c.task.new)) {
			missing = append(missing, "default privilege "+want.privilege+" on "+want.kind)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return issue.Faultf("The admin role %s cannot pass on everything that %s may do. Missing: %s. Let a member of the objects' owner, or a superuser, be the admin role.",
			c.db.name, c.task.old, list(missing, 5))
	}
	return nil
}

func (c *copier) do(ctx context.Context, doing, sql string) error {
	return explain(doing, run(ctx, c.tx, sql))
}
