package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// byDefault is one privilege that objects made in the future get.
type byDefault struct {
	maker     string // whose objects
	schema    string // quoted; "" for all
	kind      string // "TABLES"
	privilege string
	grantee   string // "" is PUBLIC
	grantable bool
	// lacking: it is missing from what objects get anyway, not added to it.
	lacking bool
}

// defaults reads the default privileges of role's own objects, as differences from
// what PostgreSQL gives anyway, and those that others' objects give to role.
func defaults(ctx context.Context, tx pgx.Tx, role uint32) ([]byDefault, error) {
	rows, err := tx.Query(ctx, `
WITH d AS (
	SELECT pg_default_acl.*, coalesce(quote_ident(nspname), '') AS schema FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace
), have AS (
	SELECT d.oid, defaclrole, schema, defaclobjtype, x.privilege_type, x.grantee, x.is_grantable FROM d, aclexplode(defaclacl) x
	WHERE defaclrole = $1::oid OR x.grantee = $1::oid
), base AS (
	SELECT d.oid, defaclrole, schema, defaclobjtype, x.privilege_type, x.grantee, x.is_grantable
	FROM d, aclexplode(acldefault(CASE defaclobjtype WHEN 'S' THEN 's'::"char" ELSE defaclobjtype END, defaclrole)) x WHERE defaclnamespace = 0
), differ AS (
	(SELECT *, false AS lacking FROM have EXCEPT SELECT *, false FROM base)
	UNION ALL (SELECT *, true FROM base WHERE defaclrole = $1::oid EXCEPT SELECT *, true FROM have)
)
SELECT pg_get_userbyid(defaclrole)::text, schema,
	CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES'
		WHEN 'n' THEN 'SCHEMAS' WHEN 'L' THEN 'LARGE OBJECTS' ELSE defaclobjtype::text END,
	privilege_type, CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee)::text END, is_grantable, lacking
FROM differ ORDER BY 1, 2, 3, lacking, 4, 5`, role)
	if err != nil {
		return nil, fmt.Errorf("reading default privileges: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d byDefault, err error) {
		return d, row.Scan(&d.maker, &d.schema, &d.kind, &d.privilege, &d.grantee, &d.grantable, &d.lacking)
	})
}

// of answers d with to in the place of from.
func (d byDefault) of(from, to string) byDefault {
	if d.maker == from {
		d.maker = to
	}
	if d.grantee == from {
		d.grantee = to
	}
	return d
}

// SQL makes it so, or undoes it.
func (d byDefault) SQL(undo bool) string {
	s := "ALTER DEFAULT PRIVILEGES FOR ROLE " + ident(d.maker)
	if d.schema != "" {
		s += " IN SCHEMA " + d.schema
	}
	if d.lacking != undo {
		return s + " REVOKE " + d.privilege + " ON " + d.kind + " FROM " + public(d.grantee)
	}
	s += " GRANT " + d.privilege + " ON " + d.kind + " TO " + public(d.grantee)
	if d.grantable && !d.lacking {
		s += " WITH GRANT OPTION"
	}
	return s
}
