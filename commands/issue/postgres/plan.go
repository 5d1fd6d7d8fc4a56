package postgres

import (
	"strings"

	"rekey/commands/issue"
)

// Plan answers the statements a step would run, and what they are derived from where
// the catalogs of the server decide. It connects to nothing.
func (i *Issuer) Plan(o issue.Order, step issue.Step) []string {
	t, err := read(o)
	if err != nil {
		return []string{err.Error()}
	}
	old, to, at := ident(t.old), ident(t.new), t.url.where()
	signal := func(role string) string {
		return "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = the oid of " + ident(role) + ", until none is left"
	}
	drop := func(role string) []string {
		return []string{
			"BEGIN",
			"REVOKE … FROM " + ident(role) + ", for every grant it holds; ALTER DEFAULT PRIVILEGES … and ALTER POLICY … without it",
			"DROP ROLE " + ident(role) + ", which PostgreSQL refuses while anything depends on it",
			"COMMIT",
		}
	}
	switch step {
	case issue.Check:
		return []string{
			"log in to " + at + " as " + old + " with the password in use, and with a wrong one",
			"log in with the admin URL from " + t.with.Admin.String() + " and read the rights of " + old + " from the catalogs",
			"make " + to + " with all of them, take the login from " + old + ", and ROLLBACK",
		}
	case issue.Create:
		return []string{"make a password of 48 letters and digits, and the URL of " + to + " with it; no server is asked"}
	case issue.Set:
		return t.planSet(old, to)
	case issue.Test:
		queries := t.with.Queries
		if len(queries) == 0 {
			queries = []string{"SELECT 1"}
		}
		plan := []string{"log in to " + at + " with the URL, and with a wrong password", "BEGIN"}
		return append(append(plan, queries...), "ROLLBACK")
	case issue.Retire:
		if o.Compromised {
			return []string{loginSQL(t.old, false), signal(t.old)}
		}
		return []string{
			"SELECT … FROM pg_stat_activity, and wait while anybody is connected as " + old,
			loginSQL(t.old, false),
		}
	case issue.Revive:
		return []string{loginSQL(t.old, true)}
	case issue.Finish:
		plan := []string{"SELECT … FROM pg_stat_activity and pg_shdepend, and refuse while " + old + " has sessions or owns anything"}
		return append(plan, drop(t.old)...)
	case issue.Rollback:
		return append([]string{loginSQL(t.new, false), signal(t.new)}, drop(t.new)...)
	}
	return nil
}

func (t task) planSet(old, to string) []string {
	plan := []string{
		"BEGIN",
		makeSQL(t.new, "[redacted]", role{inherit: true, limit: -1}) + ", with the attributes of " + old,
		"COMMENT ON ROLE " + to + " IS " + literal(t.mark),
		"GRANT each group of " + old + " TO " + to,
	}
	if t.with.Owner != "" {
		plan = append(plan, "GRANT "+ident(t.with.Owner)+" TO "+to)
	}
	if t.order.Compromised {
		plan = append(plan, "GRANT "+old+" TO "+to+", if "+old+" owns anything")
	}
	return append(plan,
		"ALTER ROLE "+to+" SET …, for each setting of "+old,
		"GRANT … ON … TO "+to+", for each privilege of "+old+" on databases, schemas, tables, columns, sequences, routines, types, large objects and the like",
		"ALTER DEFAULT PRIVILEGES … for "+to+", as for "+old,
		"ALTER POLICY … TO "+strings.Join([]string{old, to}, ", ")+", for each row security policy that names "+old,
		"read the rights of both and compare them",
		"COMMIT",
	)
}
