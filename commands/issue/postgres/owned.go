package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"rekey/audit"
	"rekey/commands/issue"
)

// belongings are what a role has that no other role can be given by a GRANT.
type belongings struct {
	owned    []string // in this database or shared: "table app.orders"
	mappings []string // user mappings of foreign servers
	// elsewhere are other databases in which the role owns something or holds
	// grants: "analytics (3 objects)".
	elsewhere []string
	// owning are those of elsewhere in which it owns something.
	owning []string
}

// keeps reports whether the role cannot be dropped for what it has.
func (b belongings) keeps() bool { return len(b.owned)+len(b.mappings)+len(b.elsewhere) > 0 }

// String names everything, for people.
func (b belongings) String() string {
	var parts []string
	if n := len(b.owned); n > 0 {
		parts = append(parts, fmt.Sprintf("owns %s (%s)", audit.Count(n, "object"), list(b.owned, 3)))
	}
	if len(b.mappings) > 0 {
		parts = append(parts, "has "+list(b.mappings, 3))
	}
	if len(b.elsewhere) > 0 {
		parts = append(parts, "owns things or holds grants in other databases: "+list(b.elsewhere, 3))
	}
	return strings.Join(parts, "; ")
}

// remedy says how a person ends that.
func (b belongings) remedy(role, owner string) string {
	var parts []string
	if len(b.owned) > 0 {
		first := ""
		if owner == "" {
			owner = ours.ReplaceAllString(role, "") + "_owner"
			first = fmt.Sprintf("CREATE ROLE %s NOLOGIN; ", ident(owner))
		}
		parts = append(parts, fmt.Sprintf("Let a group own it: %sGRANT %s TO %s; REASSIGN OWNED BY %s TO %s.",
			first, ident(owner), ident(role), ident(role), ident(owner)))
	}
	if len(b.mappings) > 0 {
		parts = append(parts, "A user mapping holds a password of its own and is not copied: make it FOR PUBLIC, or drop it.")
	}
	if len(b.elsewhere) > 0 {
		parts = append(parts, fmt.Sprintf("Its URL names one database: give the others a role of their own, "+
			"or run REASSIGN OWNED BY %s TO another role and DROP OWNED BY %s there.", ident(role), ident(role)))
	}
	return strings.Join(parts, " ")
}

// has reads what role has. Temporary tables go with their session and do not count.
func has(ctx context.Context, tx pgx.Tx, role uint32) (b belongings, err error) {
	rows, err := tx.Query(ctx, `SELECT classid = 'pg_user_mapping'::regclass, pg_describe_object(classid, objid, objsubid)
		FROM pg_shdepend s WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1::oid AND deptype = 'o'
		AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND classid <> 'pg_default_acl'::regclass
		AND NOT EXISTS (SELECT FROM pg_class c WHERE s.classid = 'pg_class'::regclass AND c.oid = s.objid AND c.relpersistence = 't')
		ORDER BY 2`, role)
	if err != nil {
		return b, fmt.Errorf("reading what the role owns: %w", err)
	}
	var mapping bool
	var name *string // NULL for what was dropped this moment
	_, err = pgx.ForEachRow(rows, []any{&mapping, &name}, func() error {
		switch {
		case name == nil:
		case mapping:
			b.mappings = append(b.mappings, *name)
		default:
			b.owned = append(b.owned, *name)
		}
		return nil
	})
	if err != nil {
		return b, fmt.Errorf("reading what the role owns: %w", err)
	}
	rows, err = tx.Query(ctx, `SELECT d.datname, count(*), count(*) FILTER (WHERE deptype = 'o')
		FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
		WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1::oid AND d.datname <> current_database() GROUP BY 1 ORDER BY 1`, role)
	if err != nil {
		return b, fmt.Errorf("reading what the role has in other databases: %w", err)
	}
	var database string
	var all, own int
	_, err = pgx.ForEachRow(rows, []any{&database, &all, &own}, func() error {
		b.elsewhere = append(b.elsewhere, fmt.Sprintf("%s (%s)", database, audit.Count(all, "object")))
		if own > 0 {
			b.owning = append(b.owning, database)
		}
		return nil
	})
	if err != nil {
		return b, fmt.Errorf("reading what the role has in other databases: %w", err)
	}
	return b, nil
}

// fault refuses to go on because of b.
func (b belongings) fault(role, owner string) *issue.Fault {
	return issue.Faultf("The role %s %s. %s", role, b, b.remedy(role, owner))
}
