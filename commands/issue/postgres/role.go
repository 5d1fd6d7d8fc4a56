package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// role is a row of pg_roles: what can be said of a role besides its rights.
type role struct {
	oid                                                               uint32
	name                                                              string
	super, inherit, createRole, createDB, login, replicate, bypassRLS bool
	limit                                                             int
	validUntil                                                        string // "" for no end
	comment                                                           string
}

// find reads a role; nil where there is none of that name.
func find(ctx context.Context, tx pgx.Tx, name string) (*role, error) {
	r := &role{name: name}
	row := tx.QueryRow(ctx, `SELECT oid, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
		rolconnlimit, coalesce(rolvaliduntil::text, ''), coalesce(shobj_description(oid, 'pg_authid'), '')
		FROM pg_roles WHERE rolname = $1::text`, name)
	err := row.Scan(&r.oid, &r.super, &r.inherit, &r.createRole, &r.createDB, &r.login, &r.replicate, &r.bypassRLS,
		&r.limit, &r.validUntil, &r.comment)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // no role is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("reading the role %s: %w", name, err)
	}
	return r, nil
}

// makeSQL is the statement that makes a role like r. verifier is what the server
// keeps of the password.
func makeSQL(name, verifier string, r role) string {
	return "CREATE ROLE " + ident(name) + " LOGIN PASSWORD " + literal(verifier) + r.attributes(role{inherit: true, limit: -1})
}

// alterSQL is the statement that gives a role that was made before a password and
// what it lacks of r.
func alterSQL(name, verifier string, r, has role) string {
	return "ALTER ROLE " + ident(name) + " LOGIN PASSWORD " + literal(verifier) + r.attributes(has)
}

// attributes names only what differs: some may be written by a superuser alone, even
// where they say what is so already.
func (r role) attributes(has role) string {
	var b strings.Builder
	flag := func(word string, want, is bool) {
		if want == is {
			return
		}
		if !want {
			word = "NO" + word
		}
		b.WriteString(" " + word)
	}
	flag("INHERIT", r.inherit, has.inherit)
	flag("CREATEROLE", r.createRole, has.createRole)
	flag("CREATEDB", r.createDB, has.createDB)
	flag("REPLICATION", r.replicate, has.replicate)
	flag("BYPASSRLS", r.bypassRLS, has.bypassRLS)
	if r.limit != has.limit {
		fmt.Fprintf(&b, " CONNECTION LIMIT %d", r.limit)
	}
	if r.validUntil != has.validUntil {
		until := r.validUntil
		if until == "" {
			until = "infinity"
		}
		b.WriteString(" VALID UNTIL " + literal(until))
	}
	return b.String()
}

// membership is a role's place in a group, or another's place in the role.
type membership struct {
	name  string // the other role
	admin bool
	// PostgreSQL 16 and later keep two more options; nil before.
	inherit, set *bool
}

// groups reads what role is a member of, members who is a member of role.
func groups(ctx context.Context, tx pgx.Tx, role uint32) ([]membership, error) {
	return memberships(ctx, tx, `SELECT g.rolname, m FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = $1::oid`, role)
}

func members(ctx context.Context, tx pgx.Tx, role uint32) ([]membership, error) {
	return memberships(ctx, tx, `SELECT g.rolname, m FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.member WHERE m.roleid = $1::oid`, role)
}

func memberships(ctx context.Context, tx pgx.Tx, from string, role uint32) ([]membership, error) {
	rows, err := tx.Query(ctx, `SELECT x.rolname::text, bool_or((x.j->>'admin_option')::bool),
		bool_or((x.j->>'inherit_option')::bool), bool_or((x.j->>'set_option')::bool)
		FROM (SELECT f.rolname, to_jsonb(f.m) AS j FROM (`+from+`) f) x GROUP BY 1 ORDER BY 1`, role)
	if err != nil {
		return nil, fmt.Errorf("reading memberships: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (m membership, err error) {
		return m, row.Scan(&m.name, &m.admin, &m.inherit, &m.set)
	})
}

// joinSQL makes member a member of group as m says.
func (m membership) joinSQL(group, member string) string {
	s := "GRANT " + ident(group) + " TO " + ident(member)
	var with []string
	if m.admin {
		with = append(with, "ADMIN OPTION")
	}
	if m.inherit != nil && m.set != nil {
		with = []string{fmt.Sprintf("ADMIN %t", m.admin), fmt.Sprintf("INHERIT %t", *m.inherit), fmt.Sprintf("SET %t", *m.set)}
	}
	if len(with) > 0 {
		s += " WITH " + strings.Join(with, ", ")
	}
	return s
}
