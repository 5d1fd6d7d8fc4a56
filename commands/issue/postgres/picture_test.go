package postgres_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// picture is every right of every role of this world, as text. acl writes an access
// control list.
func (w *world) picture(acl string) string {
	w.t.Helper()
	list := func(column string) string { return fmt.Sprintf(acl, column) }
	return w.text(`SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT 'role ' || rolname || ' ' || concat_ws(' ', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil) AS line
			FROM pg_roles WHERE rolname LIKE $1::text
		UNION ALL SELECT 'secret ' || md5(rolpassword) || coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_authid WHERE rolname LIKE $1::text
		UNION ALL SELECT 'member ' || m.roleid::regrole || ' ' || m.member::regrole || ' ' || admin_option FROM pg_auth_members m
			WHERE m.roleid::regrole::text LIKE $1::text OR m.member::regrole::text LIKE $1::text
		UNION ALL SELECT 'setting ' || setrole::regrole || ' ' || setdatabase || ' ' || setconfig::text FROM pg_db_role_setting WHERE setrole::regrole::text LIKE $1::text
		UNION ALL SELECT 'database ' || `+list("datacl")+` FROM pg_database WHERE datname = current_database()
		UNION ALL SELECT 'class ' || oid::regclass || ' ' || relowner::regrole || ' ' || `+list("relacl")+` FROM pg_class WHERE relnamespace IN ('app'::regnamespace, '"Odd Schema"'::regnamespace)
		UNION ALL SELECT 'column ' || attrelid::regclass || '.' || attname || ' ' || `+list("attacl")+` FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid::regclass::text LIKE 'app.%'
		UNION ALL SELECT 'schema ' || nspname || ' ' || `+list("nspacl")+` FROM pg_namespace WHERE nspname IN ('app', 'Odd Schema')
		UNION ALL SELECT 'routine ' || oid::regprocedure || ' ' || `+list("proacl")+` FROM pg_proc WHERE proacl IS NOT NULL
		UNION ALL SELECT 'type ' || oid::regtype || ' ' || `+list("typacl")+` FROM pg_type WHERE typacl IS NOT NULL
		UNION ALL SELECT 'large object ' || `+list("lomacl")+` FROM pg_largeobject_metadata
		UNION ALL SELECT 'default ' || defaclrole::regrole || ' ' || defaclnamespace || ' ' || defaclobjtype::text || ' ' || `+list("defaclacl")+` FROM pg_default_acl
		UNION ALL SELECT 'policy ' || polname || ' ' || polrelid::regclass || ' ' || ARRAY(SELECT r::regrole::text FROM unnest(polroles) r ORDER BY 1)::text FROM pg_policy
		UNION ALL SELECT 'parameter ' || parname || ' ' || string_agg(a::text, ' ' ORDER BY a::text) FROM pg_parameter_acl, unnest(paracl) a
			WHERE a::text LIKE $1::text GROUP BY parname -- the others are other tests', on the same server
		) x`, "%"+w.id+"%")
}

// catalogs is the whole picture, to the byte.
func (w *world) catalogs() string { return w.picture("coalesce(%[1]s::text, '')") }

var secretLine = regexp.MustCompile(`(?m)^secret .*\n?`)

// rights is who may do what, whoever allowed it, as if role had the name of the first
// one. It is the same before and after a rotation.
func (w *world) rights(role string) string {
	w.t.Helper()
	s := w.picture(`coalesce((SELECT string_agg(DISTINCT concat_ws(' ', CASE grantee WHEN 0 THEN 'public' ELSE grantee::regrole::text END, privilege_type, is_grantable), ', '
		ORDER BY concat_ws(' ', CASE grantee WHEN 0 THEN 'public' ELSE grantee::regrole::text END, privilege_type, is_grantable)) FROM aclexplode(%[1]s)), '')`)
	s = strings.ReplaceAll(secretLine.ReplaceAllString(s, ""), ident(role), "THE ROLE")
	s = strings.ReplaceAll(s, role, "THE ROLE")
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		// Sorted again: the names have changed.
		words := strings.Split(line, ", ")
		slices.Sort(words[1:])
		lines[i] = strings.Join(words, ", ")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// withoutSecrets is the picture without the verifiers, whose salt is new each time.
func (w *world) withoutSecrets() string {
	w.t.Helper()
	return secretLine.ReplaceAllString(w.catalogs(), "")
}
