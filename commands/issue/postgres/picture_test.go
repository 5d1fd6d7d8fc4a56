package postgres_test

import (
	"strings"
)

// catalogs is every right of every role of this world, as text: what pg_dumpall and
// pg_dump would write of them.
func (w *world) catalogs() string {
	like := "%" + strings.TrimPrefix(w.owner, "owner_") + "%"
	return w.text(`SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT 'role ' || rolname || ' ' || concat_ws(' ', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
			md5(rolpassword), rolvaliduntil, shobj_description(oid, 'pg_authid')) AS line FROM pg_authid WHERE rolname LIKE $1::text
		UNION ALL SELECT 'member ' || m.roleid::regrole || ' ' || m.member::regrole || ' ' || admin_option FROM pg_auth_members m WHERE m.roleid::regrole::text LIKE $1::text OR m.member::regrole::text LIKE $1::text
		UNION ALL SELECT 'setting ' || setrole::regrole || ' ' || setdatabase || ' ' || setconfig::text FROM pg_db_role_setting WHERE setrole::regrole::text LIKE $1::text
		UNION ALL SELECT 'database ' || coalesce(datacl::text, '') FROM pg_database WHERE datname = current_database()
		UNION ALL SELECT 'class ' || oid::regclass || ' ' || relowner::regrole || coalesce(relacl::text, '') FROM pg_class WHERE relnamespace IN ('app'::regnamespace, '"Odd Schema"'::regnamespace)
		UNION ALL SELECT 'column ' || attrelid::regclass || '.' || attname || ' ' || attacl::text FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid::regclass::text LIKE 'app.%'
		UNION ALL SELECT 'schema ' || nspname || coalesce(nspacl::text, '') FROM pg_namespace
		UNION ALL SELECT 'routine ' || oid::regprocedure || proacl::text FROM pg_proc WHERE proacl IS NOT NULL
		UNION ALL SELECT 'type ' || oid::regtype || typacl::text FROM pg_type WHERE typacl IS NOT NULL
		UNION ALL SELECT 'large object ' || coalesce(lomacl::text, '') FROM pg_largeobject_metadata
		UNION ALL SELECT 'default ' || defaclrole::regrole || ' ' || defaclnamespace || ' ' || defaclobjtype::text || defaclacl::text FROM pg_default_acl
		UNION ALL SELECT 'policy ' || polname || ' ' || polrelid::regclass || ' ' || ARRAY(SELECT r::regrole::text FROM unnest(polroles) r ORDER BY 1)::text FROM pg_policy) x`, like)
}
