package postgres_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger/ledgertest"
	"rekey/commands/issue"
	"rekey/commands/issue/postgres"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// Everything that would stop a rotation later stops it before anything is touched.
//
// Guide: procedures/database-url/impact
func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	app := func(w *world) string { return ident(w.app) }
	for name, c := range map[string]struct {
		spoil func(w *world)
		says  []string
		goes  string // what a compromised rotation notes and goes on
	}{
		"a superuser": {
			spoil: func(w *world) { w.exec("ALTER ROLE " + app(w) + " SUPERUSER") },
			says:  []string{"superuser"},
		},
		"a stranger's role of our name": {
			spoil: func(w *world) {
				v, _, err := postgres.New(postgres.Config{}).Create(w.t.Context(), w.order)
				must(w.t, err)
				w.exec("CREATE ROLE " + ident(user(w.t, v)))
			},
			says: []string{"did not make"},
		},
		"a password that is not right": {
			spoil: func(w *world) { w.order.Old = secret.NewValue(w.login(w.app, "CanaryWrong")) },
			says:  []string{"does not log in"},
			goes:  "somebody may have changed its password",
		},
		"no password asked for": {
			spoil: func(w *world) { w.exec("GRANT open_door TO " + app(w)) },
			says:  []string{"nothing is proven", "scram-sha-256"},
		},
		"a role that is not there": {
			spoil: func(w *world) {
				w.order.Old = secret.NewValue(w.login("nobody_"+w.id, "CanaryWrong"))
			},
			says: []string{"nobody_"},
		},
		"another database": {
			spoil: func(w *world) { w.write(w.order.Place.Issuer.Postgres.Admin.File, ledgertest.Postgres(w.t)) },
			says:  []string{"another database"},
		},
		"no admin": {
			spoil: func(w *world) { w.order.Place.Issuer.Postgres.Admin.File += ".gone" },
			says:  []string{"cannot be read"},
		},
		"an admin without a URL": {
			spoil: func(w *world) { w.write(w.order.Place.Issuer.Postgres.Admin.File, "hello") },
			says:  []string{"not a postgres://"},
		},
		"itself as admin": {
			spoil: func(w *world) {
				w.write(w.order.Place.Issuer.Postgres.Admin.File, w.order.Old.Reveal())
				w.exec("ALTER ROLE " + app(w) + " CREATEROLE")
			},
			says: []string{"itself"},
		},
		"an admin that may not make roles": {
			spoil: func(w *world) { w.admin("LOGIN", "pg_signal_backend") },
			says:  []string{"permission denied"},
		},
		"an admin that may not end sessions": {
			spoil: func(w *world) { w.admin("LOGIN CREATEROLE") },
			says:  []string{"pg_signal_backend"},
		},
		"an admin that may not grant": {
			spoil: func(w *world) { w.admin("LOGIN CREATEROLE", "pg_signal_backend") },
			says:  []string{"may do"},
		},
		"an admin that may not alter a policy": {
			spoil: func(w *world) {
				w.exec("CREATE TABLE public.strict (a int)", "ALTER TABLE public.strict ENABLE ROW LEVEL SECURITY", "CREATE POLICY narrow ON public.strict TO "+app(w))
				w.onlyOwned()
				w.admin("LOGIN CREATEROLE", "pg_signal_backend", w.owner, "dba_"+w.id)
			},
			says: []string{"narrow on public.strict"},
		},
		// PostgreSQL only warns where the grantor holds the right and may not pass it on.
		"an admin that may use but not grant": {
			spoil: func(w *world) {
				w.onlyOwned()
				w.admin("LOGIN CREATEROLE", "pg_signal_backend", w.owner, "dba_"+w.id)
				w.exec("CREATE TABLE public.other (a int)", "GRANT SELECT ON public.other TO chief_"+w.id+", "+app(w))
			},
			says: []string{"Missing: SELECT on table public.other"},
		},
		"grants in another database": {
			spoil: func(w *world) {
				other := w.connect(ledgertest.Postgres(w.t))
				execute(w.t, other, "CREATE TABLE t (a int)", "GRANT SELECT ON t TO "+app(w))
			},
			says: []string{"in other databases", "rekey_", "1 object"},
			goes: "cut off",
		},
		"a user mapping": {
			spoil: func(w *world) {
				w.exec("CREATE FOREIGN DATA WRAPPER f", "CREATE SERVER s FOREIGN DATA WRAPPER f", "CREATE USER MAPPING FOR "+app(w)+" SERVER s OPTIONS (password 'CanaryMapping')")
			},
			says: []string{"user mapping"},
			goes: "user mapping",
		},
		"row security that knows the name": {
			spoil: func(w *world) {
				w.exec("CREATE POLICY named ON app.orders USING (current_user = '" + w.app + "')")
			},
			says: []string{"named on app.orders", "Let the policies name a group"},
			goes: "named on app.orders",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.spoil(w)
			before := w.catalogs()
			i := postgres.New(postgres.Config{})
			_, err := i.Check(t.Context(), w.order)
			fault(t, err, c.says...)
			w.order.Compromised = true
			note, err := i.Check(t.Context(), w.order)
			if c.goes == "" {
				fault(t, err, c.says...)
			} else if err != nil || !strings.Contains(note, c.goes) {
				t.Errorf("compromised: %q, %v", note, err)
			}
			if diff := cmp.Diff(before, w.catalogs()); diff != "" {
				t.Errorf("something was touched: %s", diff)
			}
			if err != nil && strings.Contains(err.Error()+note, "Canary") {
				t.Error("a value leaks")
			}
		})
	}
}

// admin makes a role and gives rekey its URL.
func (w *world) admin(options string, groups ...string) {
	w.t.Helper()
	name := "chief_" + w.id
	w.exec("CREATE ROLE "+name+" "+options, "GRANT administrators TO "+name, "GRANT CONNECT ON DATABASE "+ident(w.name)+" TO "+name)
	for _, g := range groups {
		w.exec("GRANT " + ident(g) + " TO " + name)
	}
	w.write(w.order.Place.Issuer.Postgres.Admin.File, w.login(name, "unused"))
}

// onlyOwned takes from the application what no member of the owners can give.
func (w *world) onlyOwned() {
	w.t.Helper()
	w.exec("REVOKE SET ON PARAMETER "+w.parameter()+" FROM "+ident(w.app), "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) FROM "+ident(w.app),
		fmt.Sprintf(`DO $$ DECLARE l oid; BEGIN FOR l IN SELECT oid FROM pg_largeobject_metadata LOOP EXECUTE format('REVOKE ALL ON LARGE OBJECT %%s FROM %%I', l, '%s'); END LOOP; END $$`, w.app),
		"REVOKE ALL ON app.names FROM "+ident(w.app), "ALTER DATABASE "+ident(w.name)+" OWNER TO "+ident(w.owner))
}

// An admin role that is no superuser goes the whole way, and keeps no power over the
// new role that it did not have over the old one.
func TestOrdinaryAdmin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.onlyOwned()
	w.admin("LOGIN CREATEROLE", "pg_signal_backend", w.owner, "dba_"+w.id)
	want := w.rights(w.app)
	i, o := w.begun()
	note, err := i.Check(t.Context(), o)
	if err != nil {
		t.Fatal(note, err)
	}
	if try := i.Test(t.Context(), o, o.New); try.Answer != verify.Accepted {
		t.Fatalf("the new value: %+v", try)
	}
	conn := w.session(o.Old)
	u, err := i.Usage(t.Context(), o)
	must(t, err)
	if diff := cmp.Diff([]string{"somewhere (x y, 1 session)"}, u.Users); diff != "" {
		t.Errorf("who uses it: %s", diff)
	}
	must(t, conn.Close(t.Context()))
	eventually(t, "the session is gone", func() bool { return act(t.Context(), i, issue.Retire, o) == nil })
	must(t, act(t.Context(), i, issue.Revive, o))
	must(t, act(t.Context(), i, issue.Rollback, o))
	if diff := cmp.Diff(want, w.rights(w.app)); diff != "" {
		t.Errorf("rolled back: %s", diff)
	}
	o.Compromised = true
	must(t, act(t.Context(), i, issue.Set, o))
	w.session(o.Old)
	must(t, act(t.Context(), i, issue.Retire, o))
	must(t, act(t.Context(), i, issue.Finish, o))
	if diff := cmp.Diff(want, w.rights(user(t, o.New))); diff != "" {
		t.Errorf("rotated: %s", diff)
	}
}

// TestCheckNotes: what need not stop a rotation is said.
func TestCheckNotes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec("CREATE POLICY mine ON app.orders USING (tenant = current_user)", "ALTER ROLE "+ident(w.app)+" CREATEROLE")
	note, err := postgres.New(postgres.Config{}).Check(t.Context(), w.order)
	must(t, err)
	for _, s := range []string{"mine on app.orders", "may make roles"} {
		if !strings.Contains(note, s) {
			t.Errorf("the note says %q and not %q", note, s)
		}
	}
}

// A dry run is told the very statements, without a secret, without a server.
func TestPlan(t *testing.T) {
	t.Parallel()
	i := postgres.New(postgres.Config{})
	o := issue.Order{
		Run: "run-7", Secret: secret.Secret{Name: "DATABASE_URL"}, Environment: secret.Environment{Name: "staging"},
		Old: secret.NewValue("postgres://app:CanaryOld@db.invalid:6432/shop?sslmode=require"),
		Place: secret.Place{Issuer: secret.Issuer{Postgres: &secret.PostgresIssuer{
			Admin: secret.Source{File: filepath.Join(t.TempDir(), "none")}, Owner: "app_owner", Queries: []string{"SELECT 2"},
		}}},
	}
	v, _, err := i.Create(t.Context(), o)
	must(t, err)
	role := user(t, v)
	for step, want := range map[issue.Step][]string{
		issue.Check:    {"db.invalid:6432", "ROLLBACK", "/none"},
		issue.Create:   {role},
		issue.Set:      {`CREATE ROLE "` + role + `" LOGIN PASSWORD '[redacted]'`, `GRANT "app_owner" TO "` + role + `"`, "COMMENT ON ROLE", "run-7", "COMMIT"},
		issue.Test:     {"SELECT 2", "ROLLBACK"},
		issue.Retire:   {`ALTER ROLE "app" NOLOGIN`, "wait"},
		issue.Revive:   {`ALTER ROLE "app" LOGIN`},
		issue.Finish:   {`DROP ROLE "app"`, "refuse"},
		issue.Rollback: {`ALTER ROLE "` + role + `" NOLOGIN`, "pg_terminate_backend", `DROP ROLE "` + role + `"`},
	} {
		plan := strings.Join(i.Plan(o, step), "\n")
		for _, s := range want {
			if !strings.Contains(plan, s) {
				t.Errorf("%s does not tell of %q:\n%s", step, s, plan)
			}
		}
		if strings.Contains(plan, "Canary") {
			t.Errorf("the plan of %s tells a value", step)
		}
	}
	o.Compromised = true
	if plan := strings.Join(i.Plan(o, issue.Retire), "\n"); !strings.Contains(plan, "pg_terminate_backend") {
		t.Errorf("a compromised retirement: %s", plan)
	}
	o.Old = secret.NewValue("nonsense-Canary")
	if plan := strings.Join(i.Plan(o, issue.Set), "\n"); !strings.Contains(plan, "not a postgres://") || strings.Contains(plan, "Canary") {
		t.Errorf("without a URL: %s", plan)
	}
}
