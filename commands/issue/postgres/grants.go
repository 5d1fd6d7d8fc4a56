package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// grant is one privilege on one object, as an access control list holds it.
type grant struct {
	target
	privilege               string
	grantable               bool
	grantor, grantee, owner string // names; grantee "" is PUBLIC
}

// target is what a privilege is on, as GRANT writes it.
type target struct {
	kind, object, column string // column "" for the whole object
}

// held lists every access control list in reach: those of this database and the
// shared ones. Where a list is empty the owner's implied rights stand in it, so that a
// role that owns something counts as one that may use it.
const held = `
SELECT 'DATABASE' AS kind, quote_ident(datname) AS object, '' AS col, coalesce(datacl, acldefault('d', datdba)) AS acl, datdba AS owner FROM pg_database
UNION ALL SELECT 'TABLESPACE', quote_ident(spcname), '', spcacl, spcowner FROM pg_tablespace
UNION ALL SELECT 'SCHEMA', quote_ident(nspname), '', coalesce(nspacl, acldefault('n', nspowner)), nspowner
	FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
UNION ALL SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, format('%I.%I', n.nspname, relname), '',
	coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner)), relowner
	FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r','p','v','m','f','S') AND relpersistence <> 't'
UNION ALL SELECT 'TABLE', format('%I.%I', n.nspname, relname), quote_ident(attname), attacl, relowner
	FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
	WHERE attacl IS NOT NULL AND NOT attisdropped AND relpersistence <> 't'
UNION ALL SELECT 'ROUTINE', oid::regprocedure::text, '', proacl, proowner FROM pg_proc WHERE proacl IS NOT NULL
UNION ALL SELECT 'TYPE', format('%I.%I', n.nspname, typname), '', typacl, typowner
	FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace WHERE typacl IS NOT NULL
UNION ALL SELECT 'LANGUAGE', quote_ident(lanname), '', lanacl, lanowner FROM pg_language
UNION ALL SELECT 'FOREIGN DATA WRAPPER', quote_ident(fdwname), '', fdwacl, fdwowner FROM pg_foreign_data_wrapper
UNION ALL SELECT 'FOREIGN SERVER', quote_ident(srvname), '', srvacl, srvowner FROM pg_foreign_server
UNION ALL SELECT 'LARGE OBJECT', oid::text, '', coalesce(lomacl, acldefault('L', lomowner)), lomowner FROM pg_largeobject_metadata`

// heldParameters is what PostgreSQL 15 added: rights on settings, owned by the
// superuser that was made first.
const heldParameters = `
UNION ALL SELECT 'PARAMETER', quote_ident(parname), '', paracl, 10::oid FROM pg_parameter_acl`

// grants reads every privilege that role holds or has passed on.
func grants(ctx context.Context, tx pgx.Tx, role uint32) ([]grant, error) {
	from := held
	var parameters bool
	if err := tx.QueryRow(ctx, `SELECT to_regclass('pg_parameter_acl') IS NOT NULL`).Scan(&parameters); err != nil {
		return nil, fmt.Errorf("reading grants: %w", err)
	}
	if parameters {
		from += heldParameters
	}
	name := func(oid string) string {
		return `CASE ` + oid + ` WHEN 0 THEN '' ELSE pg_get_userbyid(` + oid + `)::text END`
	}
	rows, err := tx.Query(ctx, `SELECT kind, object, col, x.privilege_type, bool_or(x.is_grantable), `+
		name("x.grantor")+`, `+name("x.grantee")+`, `+name("owner")+`
		FROM (`+from+`) h, aclexplode(h.acl) x WHERE $1::oid IN (x.grantee, x.grantor)
		GROUP BY 1, 2, 3, 4, 6, 7, 8 ORDER BY 1, 2, 3, 4, 6, 7`, role)
	if err != nil {
		return nil, fmt.Errorf("reading grants: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (g grant, err error) {
		return g, row.Scan(&g.kind, &g.object, &g.column, &g.privilege, &g.grantable, &g.grantor, &g.grantee, &g.owner)
	})
}

// rights answers what role may do, whoever allowed it: the grants to it, once each.
func rights(all []grant, role string) map[right]bool {
	m := map[right]bool{}
	for _, g := range all {
		if g.grantee == role {
			r := right{g.target, g.privilege}
			m[r] = m[r] || g.grantable
		}
	}
	return m
}

// right is a privilege on a target, whoever granted it.
type right struct {
	target
	privilege string
}

// String reads as in a GRANT.
func (r right) String() string {
	if r.column != "" {
		return fmt.Sprintf("%s (%s) on %s %s", r.privilege, r.column, strings.ToLower(r.kind), r.object)
	}
	return fmt.Sprintf("%s on %s %s", r.privilege, strings.ToLower(r.kind), r.object)
}

// passedOn answers the grants that role made to others on what is not its own.
func passedOn(all []grant, role string) []grant {
	return slices.DeleteFunc(slices.Clone(all), func(g grant) bool {
		return g.grantor != role || g.owner == role || g.grantee == role
	})
}

// grantSQL writes wanted as GRANTs to grantee, one for each object and option.
func grantSQL(wanted map[right]bool, grantee string) []string {
	return statements(wanted, func(privileges, object string, grantable bool) string {
		s := "GRANT " + privileges + " ON " + object + " TO " + grantee
		if grantable {
			s += " WITH GRANT OPTION"
		}
		return s
	})
}

// revokeSQL takes rights from grantee again, and fails where others depend on them.
func revokeSQL(unwanted map[right]bool, grantee string) []string {
	return statements(unwanted, func(privileges, object string, _ bool) string {
		return "REVOKE " + privileges + " ON " + object + " FROM " + grantee
	})
}

func statements(rights map[right]bool, write func(privileges, object string, grantable bool) string) []string {
	type line struct {
		object    string
		grantable bool
	}
	privileges := map[line][]string{}
	for r, grantable := range rights {
		l := line{r.kind + " " + r.object, grantable}
		p := r.privilege
		if r.column != "" {
			p += " (" + r.column + ")"
		}
		privileges[l] = append(privileges[l], p)
	}
	var all []string
	for l, list := range privileges {
		slices.Sort(list)
		all = append(all, write(strings.Join(list, ", "), l.object, l.grantable))
	}
	slices.SortFunc(all, cmp.Compare[string])
	return all
}

// public writes a grantee for SQL.
func public(role string) string {
	if role == "" {
		return "PUBLIC"
	}
	return ident(role)
}
