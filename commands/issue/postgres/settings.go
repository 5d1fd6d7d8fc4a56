package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// setting is a line of ALTER ROLE … SET.
type setting struct {
	database    string // quoted; "" for all
	name, value string
}

// settings reads what role has set for its sessions.
func settings(ctx context.Context, tx pgx.Tx, role uint32) ([]setting, error) {
	rows, err := tx.Query(ctx, `SELECT coalesce(quote_ident(d.datname), ''), split_part(c.line, '=', 1), substr(c.line, strpos(c.line, '=') + 1)
		FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS c(line)
		WHERE s.setrole = $1::oid ORDER BY 1, 2`, role)
	if err != nil {
		return nil, fmt.Errorf("reading the role's settings: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s setting, err error) {
		return s, row.Scan(&s.database, &s.name, &s.value)
	})
}

// SQL sets it for role.
func (s setting) SQL(role string) string {
	b := "ALTER ROLE " + ident(role)
	if s.database != "" {
		b += " IN DATABASE " + s.database
	}
	b += " SET " + ident(s.name) + " TO "
	if !slices.Contains(lists, strings.ToLower(s.name)) {
		return b + literal(s.value)
	}
	parts := identifiers(s.value)
	for i, p := range parts {
		parts[i] = literal(p)
	}
	return b + strings.Join(parts, ", ")
}

// lists are the settings whose value is a list of names, each quoted by itself
// (GUC_LIST_QUOTE; pg_dump knows them by the same list, in src/bin/pg_dump/dumputils.c).
var lists = []string{
	"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories",
}

// identifiers splits a list as the catalog keeps it: names in double quotes where
// they need them. It answers at least one name, "" for an empty list.
func identifiers(s string) []string {
	var names []string
	for rest := strings.TrimSpace(s); ; {
		var name strings.Builder
		if strings.HasPrefix(rest, `"`) {
			rest = rest[1:]
			for rest != "" {
				if strings.HasPrefix(rest, `""`) {
					name.WriteByte('"')
					rest = rest[2:]
					continue
				}
				if rest[0] == '"' {
					rest = rest[1:]
					break
				}
				name.WriteByte(rest[0])
				rest = rest[1:]
			}
		}
		plain, after, more := strings.Cut(rest, ",")
		name.WriteString(strings.TrimSpace(plain))
		names = append(names, name.String())
		if !more {
			return names
		}
		rest = strings.TrimSpace(after)
	}
}

// ownSchema answers the setting that keeps a schema named after the old role in the
// new role's path: "$user", which is in the path by default, means another schema to
// another role. It answers nil where there is no such schema or no such path.
func ownSchema(ctx context.Context, tx pgx.Tx, old *role, own []setting) ([]setting, error) {
	var exists bool
	var path string
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1::text), coalesce(
		(SELECT substr(c.line, 13) FROM pg_db_role_setting s, unnest(s.setconfig) AS c(line)
			WHERE s.setrole = 0 AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) AND c.line LIKE 'search\_path=%'),
		(SELECT reset_val FROM pg_settings WHERE name = 'search_path' AND NOT EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS c(line)
			WHERE s.setrole = (SELECT oid FROM pg_roles WHERE rolname = session_user) AND c.line LIKE 'search\_path=%')),
		'"$user", public')`, old.name).Scan(&exists, &path)
	if err != nil || !exists {
		return nil, err
	}
	var changed []setting
	set := slices.DeleteFunc(slices.Clone(own), func(s setting) bool { return s.name != "search_path" })
	if !slices.ContainsFunc(set, func(s setting) bool { return s.database == "" }) {
		set = append(set, setting{name: "search_path", value: path})
	}
	for _, s := range set {
		names := identifiers(s.value)
		i := slices.Index(names, "$user")
		if i < 0 {
			continue
		}
		names[i] = old.name
		for i, n := range names {
			names[i] = ident(n)
		}
		s.value = strings.Join(names, ", ")
		changed = append(changed, s)
	}
	return changed, nil
}
