package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rekey/commands/issue"
	"rekey/commands/issue/postgres"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// A rotated application may do what it did, no more and no less, and so may everybody
// else.
//
// Guide: procedures/database-url/create-role, procedures/database-url/grant
func TestRightsAreTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := w.rights(w.app)
	i, o := w.begun()
	to := user(t, o.New)
	for _, s := range []issue.Step{issue.Retire, issue.Finish} {
		must(t, act(t.Context(), i, s, o))
	}
	if diff := cmp.Diff(want, w.rights(to)); diff != "" {
		t.Errorf("the rights are not the same: %s", diff)
	}
	if !strings.HasPrefix(to, w.app+"_rk") {
		t.Errorf("the role is called %s", to)
	}
	// The next rotation does not add a second ending to the name.
	w.order.Run, w.order.Old = "next-run", o.New
	_, o = w.begun()
	if next := user(t, o.New); len(next) != len(to) || next == to {
		t.Errorf("after %s comes %s", to, next)
	}
}

// TestAtWork does with the new role what the application does.
//
// Guide: procedures/database-url/create-role, procedures/database-url/grant
func TestAtWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, o := w.begun()
	app := w.session(o.New)
	for query, want := range map[string]string{
		"SELECT string_agg(note, ',') FROM orders":        "mine", // search_path, row security
		"SELECT name FROM customers":                      "x",    // column grant
		`SELECT count(*)::text FROM "It""s"`:              "0",
		"SHOW statement_timeout":                          "31s",
		"SHOW leather.tenant":                             "it's a",
		"SHOW search_path":                                `app, "Odd Schema", "$user", public`,
		"SELECT app.add(1, NULL)::text":                   "1",
		"SELECT 'paid'::app.state::text":                  "paid",
		"SELECT (nextval('app.orders_id_seq') > 0)::text": "true",
	} {
		var got string
		if err := app.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", query, got, err, want)
		}
	}
	for query, code := range map[string]string{
		"SELECT card FROM customers":                        "42501",
		"INSERT INTO orders (tenant) VALUES ('b')":          "42501", // row security
		"DELETE FROM customers":                             "42501",
		"ALTER ROLE " + ident(w.app) + " PASSWORD 'stolen'": "42501",
	} {
		_, err := app.Exec(t.Context(), query)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != code {
			t.Errorf("%s: %v, want %s", query, err, code)
		}
	}
	// What is made from now on is shared as before.
	w.exec("SET ROLE "+w.owner, "CREATE TABLE app.later (a int)", "RESET ROLE")
	execute(t, app, "INSERT INTO later VALUES (1)", "SET ROLE "+w.owner, "CREATE TABLE app.grouped (a int)", "RESET ROLE", "INSERT INTO grouped VALUES (1)",
		`CREATE TABLE "Odd Schema".own (a int)`)
	w.exec("SET ROLE reports_"+w.id, `SELECT a FROM "Odd Schema".own`, "RESET ROLE")
}

// The clear password reaches neither the server's log, which writes every statement
// here, nor its catalogs.
//
// Guide: procedures/database-url/create-role
func TestServerNeverSeesThePassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i, o := w.begun()
	if try := i.Test(t.Context(), o, o.New); try.Answer != verify.Accepted {
		t.Fatalf("the new value: %+v", try)
	}
	log, err := os.ReadFile(filepath.Join(w.dir, "log"))
	must(t, err)
	to := user(t, o.New)
	if !strings.Contains(string(log), `CREATE ROLE "`+to+`"`) {
		t.Fatal("the server does not log statements: nothing is tested")
	}
	c, err := pgx.ParseConfig(o.New.Reveal())
	must(t, err)
	if strings.Contains(string(log), c.Password) {
		t.Error("the password is in the server's log")
	}
	kept := w.text("SELECT rolpassword FROM pg_authid WHERE rolname = $1::text", to)
	if !strings.HasPrefix(kept, "SCRAM-SHA-256$4096:") {
		t.Error("the server keeps no SCRAM verifier")
	}
	if len(c.Password) < 40 || strings.Trim(c.Password, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
		t.Error("the password needs escaping, or is short")
	}
}

// A routine rotation waits for sessions to go and says whose they are.
//
// Guide: procedures/database-url/drop-old-role
func TestRoutineWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i, o := w.begun()
	for range 2 {
		w.session(secret.NewValue(strings.Replace(o.Old.Reveal(), "x%20y", "gunicorn", 1)))
	}
	last := w.session(secret.NewValue(strings.Replace(o.Old.Reveal(), "x%20y", "celery", 1)))
	u, err := i.Usage(t.Context(), o)
	must(t, err)
	want := []string{"the local socket (gunicorn, 2 sessions)", "the local socket (celery, 1 session)"}
	if diff := cmp.Diff(want, u.Users); diff != "" {
		t.Errorf("who uses it: %s", diff)
	}
	if u.Since.IsZero() || !u.Any() {
		t.Errorf("usage: %+v", u)
	}
	for _, s := range []issue.Step{issue.Retire, issue.Finish} {
		waits(t, act(t.Context(), i, s, o), w.app, want[0], want[1])
	}
	if try := i.Test(t.Context(), o, o.Old); try.Answer != verify.Accepted {
		t.Errorf("the old value, while it waits: %+v", try)
	}
	// The login that was tried is closed; PostgreSQL ends its process in its own time.
	eventually(t, "the three sessions and no other are left", func() bool {
		return w.text("SELECT count(*)::text FROM pg_stat_activity WHERE usename = $1::text", w.app) == "3"
	})
	must(t, last.Close(t.Context()))
	w.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" + w.app + "'")
	eventually(t, "it stops waiting", func() bool { return act(t.Context(), i, issue.Retire, o) == nil })
	if try := i.Test(t.Context(), o, o.Old); try.Answer != verify.Refused {
		t.Errorf("the old value, retired: %+v", try)
	}
	must(t, act(t.Context(), i, issue.Finish, o))
	u, err = i.Usage(t.Context(), o)
	if err != nil || u.Any() {
		t.Errorf("usage of a dropped role: %+v, %v", u, err)
	}
	fault(t, act(t.Context(), i, issue.Revive, o), "too late")
}

// A compromised rotation ends sessions at once, however fast they come back.
func TestCompromisedEndsSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order.Compromised = true
	i, o := w.begun()
	stop, stopped := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // an attacker who reconnects
		defer close(ended)
		for stop.Err() == nil {
			if conn, err := pgx.Connect(stop, o.Old.Reveal()); err == nil {
				_, _ = conn.Exec(stop, "SELECT pg_sleep(60)")
				_ = conn.Close(context.Background())
			}
		}
	}()
	eventually(t, "the attacker is in", func() bool {
		u, err := i.Usage(t.Context(), o)
		return err == nil && u.Any()
	})
	must(t, act(t.Context(), i, issue.Retire, o))
	if got := w.text("SELECT count(*)::text FROM pg_stat_activity WHERE usename = $1::text", w.app); got != "0" {
		t.Errorf("%s sessions are left", got)
	}
	stopped()
	<-ended
	if try := i.Test(t.Context(), o, o.New); try.Answer != verify.Accepted {
		t.Errorf("the new value: %+v", try)
	}
	must(t, act(t.Context(), i, issue.Revive, o))
	if try := i.Test(t.Context(), o, o.Old); try.Answer != verify.Accepted {
		t.Errorf("the old value, revived: %+v", try)
	}
}

// What the role owns itself stops a routine rotation before anything is touched.
//
// Guide: procedures/database-url/drop-old-role
func TestOwningRoleIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := postgres.New(postgres.Config{})
	note, err := i.Check(t.Context(), w.order)
	must(t, err)
	if !strings.Contains(note, "row security policies") {
		t.Errorf("the note says %q", note)
	}
	w.exec(`CREATE TABLE app.mine (a int); ALTER TABLE app.mine OWNER TO `+ident(w.app), `ALTER DATABASE `+ident(w.name)+` OWNER TO `+ident(w.app))
	before := w.catalogs()
	_, err = i.Check(t.Context(), w.order)
	fault(t, err, w.app, "2 objects", "table app.mine", "database "+w.name, `REASSIGN OWNED BY "`+w.app+`" TO "`+w.owner+`"`)
	if w.catalogs() != before {
		t.Error("something was touched")
	}
	// The remedy is one: it is followed to the letter.
	w.exec(`REASSIGN OWNED BY ` + ident(w.app) + ` TO ` + ident(w.owner))
	_, err = i.Check(t.Context(), w.order)
	must(t, err)
}

// A compromised role that owns things goes all the same: without a login, and its
// objects stay and stay in use.
func TestCompromisedOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.order.Compromised = true
	w.exec(`CREATE TABLE app.mine (a int); ALTER TABLE app.mine OWNER TO ` + ident(w.app))
	i := postgres.New(postgres.Config{})
	note, err := i.Check(t.Context(), w.order)
	must(t, err)
	if !strings.Contains(note, "table app.mine") {
		t.Errorf("the note says %q", note)
	}
	_, o := w.begun()
	must(t, act(t.Context(), i, issue.Retire, o))
	for range 2 {
		note, err = i.Finish(t.Context(), o)
		must(t, err)
		if !strings.Contains(note, "stays, without a login") || !strings.Contains(note, "REASSIGN OWNED") {
			t.Errorf("the note says %q", note)
		}
	}
	if try := i.Test(t.Context(), o, o.Old); try.Answer != verify.Refused {
		t.Errorf("the old value: %+v", try)
	}
	execute(t, w.session(o.New), "INSERT INTO mine VALUES (1)", "ALTER TABLE mine ADD b int")
	// The same in a routine run, where it came to own something late.
	o.Compromised = false
	fault(t, act(t.Context(), i, issue.Finish, o), "table app.mine")
}

// What was made as the new role survives a way back, and the application reaches it.
//
// Guide: procedures/database-url/rollback
func TestRollbackLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i, o := w.begun()
	execute(t, w.session(o.New), `CREATE TABLE "Odd Schema".fresh (a int)`, `INSERT INTO "Odd Schema".fresh VALUES (7)`)
	for range 2 {
		note, err := i.Rollback(t.Context(), o)
		must(t, err)
		if !strings.Contains(note, "fresh") || !strings.Contains(note, "REASSIGN OWNED") {
			t.Errorf("the note says %q", note)
		}
	}
	execute(t, w.session(o.Old), `INSERT INTO "Odd Schema".fresh VALUES (8)`, `ALTER TABLE "Odd Schema".fresh ADD b int`)
	if try := i.Test(t.Context(), o, o.New); try.Answer != verify.Refused {
		t.Errorf("the new value: %+v", try)
	}
}

// The way back is refused where it would leave nobody to connect as.
//
// Guide: procedures/database-url/rollback
func TestRollbackKeepsOneDoorOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i, o := w.begun()
	must(t, act(t.Context(), i, issue.Retire, o))
	fault(t, act(t.Context(), i, issue.Rollback, o), w.app, "nothing would be left")
	w.exec("ALTER ROLE " + ident(user(t, o.New)) + " NOLOGIN")
	fault(t, act(t.Context(), i, issue.Finish, o), "is not dropped")
}

// A lock that somebody holds is waited for by asking again, not by queueing.
func TestLockedTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := postgres.New(postgres.Config{})
	o := w.order
	var err error
	o.New, _, err = i.Create(t.Context(), o)
	must(t, err)
	before := w.catalogs()
	busy := w.connect(w.url)
	execute(t, busy, "BEGIN", "SELECT count(*) FROM app.orders")
	waits(t, act(t.Context(), i, issue.Set, o), "app.orders", "lock")
	if w.catalogs() != before {
		t.Error("half of it was done")
	}
	execute(t, busy, "COMMIT")
	must(t, act(t.Context(), i, issue.Set, o))
}

// Rights on parameters are the whole server's. Another change of the same ones, which
// PostgreSQL lets fail one of the two, is no reason to give up.
func TestAParameterThatAnotherGrantsAsWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	others, err := w.connect(w.url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := others.Exec(t.Context(), "GRANT SET ON PARAMETER "+w.parameter()+" TO "+ident("reports_"+w.id)); err != nil {
		t.Fatal(err)
	}
	i, o := postgres.New(postgres.Config{}), w.order
	o.New, _, err = i.Create(t.Context(), o)
	must(t, err)
	ended := make(chan error, 1)
	go func() { ended <- act(t.Context(), i, issue.Set, o) }()
	eventually(t, "ours waits for the other", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("ours ended before the other did: %v", err)
		default:
		}
		return w.text("SELECT count(*)::text FROM pg_locks WHERE NOT granted AND locktype = 'transactionid' AND transactionid = (SELECT backend_xid FROM pg_stat_activity WHERE pid = $1)", others.Conn().PgConn().PID()) == "1"
	})
	if err := others.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = <-ended
	if wait := (*issue.Wait)(nil); errors.As(err, &wait) { // on a machine so busy that 3 s went by
		err = act(t.Context(), i, issue.Set, o)
	}
	must(t, err)
	for _, role := range []string{user(t, o.New), "reports_" + w.id} {
		if w.text("SELECT has_parameter_privilege($1, $2, 'SET')::text", role, w.parameter()) != "true" {
			t.Errorf("%s may not set the parameter", role)
		}
	}
}

// A schema named after the role is in its path by that name alone.
func TestSchemaOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`CREATE SCHEMA `+ident(w.app), `GRANT USAGE ON SCHEMA `+ident(w.app)+` TO `+ident(w.app),
		`CREATE TABLE `+ident(w.app)+`.notes (a int)`, `GRANT SELECT ON `+ident(w.app)+`.notes TO `+ident(w.app),
		`ALTER ROLE `+ident(w.app)+` RESET search_path`)
	_, o := w.begun()
	execute(t, w.session(o.New), "SELECT a FROM notes")
	_, err := postgres.New(postgres.Config{}).Rollback(t.Context(), o)
	must(t, err)
	w.exec(`ALTER ROLE ` + ident(w.app) + ` SET search_path = app, "$user"`)
	_, o = w.begun()
	execute(t, w.session(o.New), "SELECT a FROM notes", "SELECT id FROM orders")
}
