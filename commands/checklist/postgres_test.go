package checklist_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rekey/audit/ledger/ledgertest"
	"rekey/commands/checklist"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	admin := ledgertest.Postgres(t)
	conn, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	role := "app_" + strings.ToLower(strings.TrimPrefix(u.Path, "/rekey_"))
	for _, statement := range []string{
		"CREATE TABLE orders (id int)", "CREATE TABLE wages (id int)", "CREATE ROLE " + role + " LOGIN", "GRANT SELECT, INSERT ON orders TO " + role,
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		late, err := pgx.Connect(t.Context(), admin)
		if err == nil {
			_, err = late.Exec(t.Context(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
		}
		if err != nil {
			t.Log("the role was left behind")
		}
	})
	as := func(user *url.Userinfo, database string) secret.Value {
		v := *u
		v.User = user
		if database != "" {
			v.Path = "/" + database
		}
		return secret.NewValue(v.String())
	}
	value := as(url.UserPassword(role, canary), "")
	c := start(t, checklist.Deps{Guard: guard(value)})
	check := func(v secret.Value, p secret.Procedure, queries ...string) checklist.Line {
		in := input(p, secret.Check{Name: "the database", Kind: secret.CheckPostgres, Within: soon, Every: often})
		in.Live, in.Place.Issuer.Postgres = v, &secret.PostgresIssuer{Queries: queries}
		return run(t, c, in)
	}
	want(t, check(value, secret.PostgresRole), verify.Passed, "as "+role, "its query ran")
	want(t, check(value, secret.PostgresRole, "SELECT * FROM orders", "INSERT INTO orders VALUES (1)"), verify.Passed, "its 2 queries ran")
	var rows int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows were left behind (%v)", rows, err)
	}
	want(t, check(value, secret.PostgresRole, "SELECT 1", "SELECT * FROM wages"), verify.FailedCheck, "query 2", "permission denied for table wages (42501)")
	want(t, check(value, secret.PostgresRole, "SELECT 1/(x-3) FROM generate_series(1,5) x"), verify.FailedCheck, "the query", "division by zero")
	want(t, check(value, secret.PostgresRole, "SELECT '"+canary+"'::int"), verify.FailedCheck, "[redacted]")
	want(t, check(as(url.User("nobody_of_that_name"), ""), secret.PostgresRole), verify.FailedCheck, "refused the login")
	want(t, check(as(url.User(role), "no_such_database"), secret.PostgresRole), verify.FailedCheck, "3D000")
	gone := "postgres://app:" + canary + "@" + strings.TrimPrefix(closed(t), "http://") + "/app"
	want(t, check(secret.NewValue(gone), secret.PostgresRole), verify.UnknownCheck, "connection refused")
	want(t, check(secret.NewValue("postgres://app:"+canary+"@/app?host=/no/such/folder"), secret.PostgresRole), verify.UnknownCheck, "socket does not exist")
	want(t, check(live, secret.PostgresRole), verify.UnknownCheck, "no address of a PostgreSQL database")
	want(t, check(secret.Value{}, secret.PostgresRole), verify.UnknownCheck, "no address to connect to")
	for _, p := range []secret.Procedure{secret.HMACOverlap, secret.DjangoKey, secret.SMTPPassword} {
		want(t, check(value, p), verify.UnknownCheck, "is no address of a database")
	}
}
