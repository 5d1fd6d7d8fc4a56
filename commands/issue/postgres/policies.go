package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// rowPolicy is a row security policy that names a role.
type rowPolicy struct {
	name, table string   // quoted
	roles       []string // names
	mayAlter    bool     // by who asks
}

// policies reads those that name role.
func policies(ctx context.Context, tx pgx.Tx, role uint32) ([]rowPolicy, error) {
	rows, err := tx.Query(ctx, `SELECT quote_ident(polname), format('%I.%I', n.nspname, c.relname),
		ARRAY(SELECT r.rolname::text FROM pg_roles r WHERE r.oid = ANY (polroles) ORDER BY 1), pg_has_role(c.relowner, 'USAGE')
		FROM pg_policy p JOIN pg_class c ON c.oid = polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE $1::oid = ANY (polroles) ORDER BY 2, 1`, role)
	if err != nil {
		return nil, fmt.Errorf("reading row security policies: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p rowPolicy, err error) {
		return p, row.Scan(&p.name, &p.table, &p.roles, &p.mayAlter)
	})
}

// SQL makes the policy be for roles.
func (p rowPolicy) SQL(roles []string) string {
	quoted := make([]string, len(roles))
	for i, r := range roles {
		quoted[i] = ident(r)
	}
	return "ALTER POLICY " + p.name + " ON " + p.table + " TO " + strings.Join(quoted, ", ")
}

// plus and minus are its roles with and without one.
func (p rowPolicy) plus(role string) []string { return append(slices.Clone(p.roles), role) }

func (p rowPolicy) minus(role string) []string {
	return slices.DeleteFunc(slices.Clone(p.roles), func(r string) bool { return r == role })
}

// nameBound answers the policies whose rule for role depends on the name of who
// asks: naming those that hold the role's very name as text, and asking those that
// compare with CURRENT_USER or SESSION_USER, which may or may not matter.
func nameBound(ctx context.Context, tx pgx.Tx, r *role) (naming, asking []string, err error) {
	rows, err := tx.Query(ctx, `SELECT format('%I on %I.%I', polname, n.nspname, c.relname),
		strpos(e.text, quote_literal($2::text)) > 0, e.text ~ '\m(CURRENT_USER|SESSION_USER|CURRENT_ROLE|USER)\M'
		FROM pg_policy p JOIN pg_class c ON c.oid = polrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
		LATERAL (SELECT concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) AS text) e
		WHERE c.relrowsecurity AND (0 = ANY (polroles) OR EXISTS (SELECT FROM unnest(polroles) AS o(id) WHERE o.id <> 0 AND pg_has_role($1::oid, o.id, 'USAGE')))
		ORDER BY 1`, r.oid, r.name)
	if err != nil {
		return nil, nil, fmt.Errorf("reading row security policies: %w", err)
	}
	var name string
	var literally, asks bool
	_, err = pgx.ForEachRow(rows, []any{&name, &literally, &asks}, func() error {
		if literally {
			naming = append(naming, name)
		} else if asks {
			asking = append(asking, name)
		}
		return nil
	})
	return naming, asking, err
}
