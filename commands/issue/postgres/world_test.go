package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rekey/audit/ledger/ledgertest"
	"rekey/commands/issue"
	"rekey/commands/issue/postgres"
	"rekey/commands/secret"
)

// TestMain makes the tests use a server of their own: they write its pg_hba.conf.
func TestMain(m *testing.M) {
	_ = os.Unsetenv("REKEY_TEST_POSTGRES")
	os.Exit(m.Run())
}

// rules is a pg_hba.conf under which applications show passwords, administrators do
// not, and members of open_door get in with any.
const rules = `local all postgres trust
local replication postgres trust
local all +administrators trust
local all +open_door trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256`

// world is an application's database with a role that can be rotated.
type world struct {
	t        testing.TB
	db       *pgx.Conn // superuser
	url      string    // superuser's
	dir      string    // the server's
	name     string    // of the database
	app      string    // the role in use
	password string
	owner    string // the group that owns everything
	id       string // in the name of every role of this world
	order    issue.Order
}

var once struct {
	sync.Mutex
	done bool
}

// serve makes the server ask for passwords.
func serve(t testing.TB, db *pgx.Conn) {
	t.Helper()
	once.Lock()
	defer once.Unlock()
	if once.done {
		return
	}
	var file string
	if err := db.QueryRow(t.Context(), "SHOW hba_file").Scan(&file); err != nil {
		t.Fatal(err)
	}
	execute(t, db, "CREATE ROLE administrators; CREATE ROLE open_door; CREATE ROLE probe LOGIN PASSWORD 'probe'", "ALTER SYSTEM SET log_statement = 'all'",
		`GRANT SET ON PARAMETER "leather.tenant" TO administrators`,
		"COPY (SELECT unnest(string_to_array('"+rules+"', E'\n'))) TO '"+file+"'", "SELECT pg_reload_conf()")
	c := db.Config().Copy()
	c.User, c.Password = "probe", "not the password"
	eventually(t, "the server asks for passwords", func() bool {
		conn, err := pgx.ConnectConfig(t.Context(), c)
		if err == nil {
			_ = conn.Close(t.Context())
		}
		var pg *pgconn.PgError
		return errors.As(err, &pg) && pg.Code == "28P01"
	})
	once.done = true
}

// newWorld makes a database and a role that owns nothing and may do much.
func newWorld(t testing.TB) *world {
	t.Helper()
	u := ledgertest.Postgres(t)
	parsed, err := url.Parse(u)
	if err != nil {
		t.Fatal(err)
	}
	id := strings.ToLower(rand.Text()[:8])
	w := &world{
		t: t, url: u, dir: parsed.Query().Get("host"), name: strings.TrimPrefix(parsed.Path, "/"),
		app: "App-" + id, password: "Canary" + rand.Text(), owner: "owner_" + id, id: id,
	}
	w.db = w.connect(u)
	serve(t, w.db)
	w.exec(fmt.Sprintf(estate, ident(w.app), w.password, ident(w.owner), ident(w.name), ident("reports_"+id), ident("dba_"+id)))
	w.exec("GRANT SET ON PARAMETER " + w.parameter() + " TO " + ident(w.app))
	admin := filepath.Join(t.TempDir(), "admin")
	w.write(admin, u)
	w.order = issue.Order{
		Run:         "run-" + id,
		Secret:      secret.Secret{Name: "DATABASE_URL"},
		Environment: secret.Environment{Name: "production"},
		Place: secret.Place{Environment: "production", Issuer: secret.Issuer{Postgres: &secret.PostgresIssuer{
			Admin: secret.Source{File: admin}, Owner: w.owner,
			Queries: []string{"SELECT name FROM app.customers", "INSERT INTO app.orders (tenant) VALUES ('a')", "SELECT note FROM orders"},
		}}},
		Old: secret.NewValue(w.login(w.app, w.password)),
	}
	return w
}

// parameter is one that no other test gives to anybody: rights on parameters are the
// whole server's, and PostgreSQL fails one of two that change the same at once.
func (w *world) parameter() string { return "leather.p_" + w.id }

// estate is what a role of a real application has: tables owned by a group, rights on
// columns, sequences, routines, types and large objects in two schemas, default
// privileges of and for it, row security that names it, settings of its own, rights it
// passed on, and a member. 1 role, 2 password, 3 owning group, 4 database, 5 a reader,
// 6 who may grant too.
const estate = `
CREATE ROLE %[3]s NOLOGIN; CREATE ROLE %[5]s NOLOGIN; CREATE ROLE %[6]s NOLOGIN;
CREATE ROLE %[1]s LOGIN PASSWORD '%[2]s' CONNECTION LIMIT 50 CREATEDB VALID UNTIL '2099-01-01';
GRANT %[3]s TO %[1]s; GRANT pg_read_all_stats TO %[1]s WITH ADMIN OPTION; GRANT %[1]s TO %[5]s;
REVOKE CONNECT ON DATABASE %[4]s FROM PUBLIC; GRANT CONNECT, TEMPORARY ON DATABASE %[4]s TO %[1]s;
ALTER ROLE %[1]s SET search_path = app, "Odd Schema", "$user", public;
ALTER ROLE %[1]s SET statement_timeout = '31s';
ALTER ROLE %[1]s IN DATABASE %[4]s SET "leather.tenant" = 'it''s a';
CREATE SCHEMA app AUTHORIZATION %[3]s; CREATE SCHEMA "Odd Schema" AUTHORIZATION %[3]s;
GRANT USAGE ON SCHEMA app TO %[1]s; GRANT ALL ON SCHEMA "Odd Schema" TO %[1]s WITH GRANT OPTION;
CREATE TABLE app.orders (id bigserial PRIMARY KEY, tenant text, note text);
CREATE TABLE app.customers (id int GENERATED ALWAYS AS IDENTITY, name text, card text);
CREATE TABLE "Odd Schema"."It""s" (a int);
CREATE VIEW app.names AS SELECT name FROM app.customers;
CREATE FUNCTION app.add(a int, b "Odd Schema"."It""s") RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE app.tidy(a int) LANGUAGE sql AS 'SELECT 1';
CREATE TYPE app.state AS ENUM ('new', 'paid');
ALTER TABLE app.orders OWNER TO %[3]s; ALTER TABLE app.customers OWNER TO %[6]s; ALTER TABLE "Odd Schema"."It""s" OWNER TO %[3]s;
ALTER VIEW app.names OWNER TO %[3]s; ALTER FUNCTION app.add OWNER TO %[3]s; ALTER PROCEDURE app.tidy OWNER TO %[3]s; ALTER TYPE app.state OWNER TO %[3]s;
REVOKE ALL ON FUNCTION app.add FROM PUBLIC; REVOKE ALL ON PROCEDURE app.tidy FROM PUBLIC; REVOKE ALL ON TYPE app.state FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON app.orders TO %[1]s; GRANT USAGE, SELECT ON SEQUENCE app.orders_id_seq TO %[1]s;
GRANT SELECT (id, name), UPDATE (name) ON app.customers TO %[1]s;
GRANT SELECT ON "Odd Schema"."It""s" TO %[6]s WITH GRANT OPTION; GRANT USAGE ON SCHEMA "Odd Schema" TO %[6]s;
SET ROLE %[6]s; GRANT SELECT ON "Odd Schema"."It""s" TO %[1]s WITH GRANT OPTION; RESET ROLE;
SET ROLE %[1]s; GRANT SELECT ON "Odd Schema"."It""s" TO %[5]s; GRANT USAGE ON SCHEMA "Odd Schema" TO PUBLIC; RESET ROLE;
GRANT SELECT ON app.names TO %[1]s; GRANT EXECUTE ON FUNCTION app.add TO %[1]s; GRANT EXECUTE ON PROCEDURE app.tidy TO %[1]s;
GRANT USAGE ON TYPE app.state TO %[1]s;
SELECT lo_create(0) AS made; 
DO $do$ DECLARE l oid; BEGIN SELECT max(oid) INTO l FROM pg_largeobject_metadata; EXECUTE format('GRANT SELECT ON LARGE OBJECT %%s TO %%I', l, trim('"' from $q$%[1]s$q$)); END $do$;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO %[1]s;
ALTER DEFAULT PRIVILEGES FOR ROLE %[3]s IN SCHEMA app GRANT SELECT, INSERT ON TABLES TO %[1]s;
ALTER DEFAULT PRIVILEGES FOR ROLE %[1]s GRANT SELECT ON TABLES TO %[5]s WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE %[1]s REVOKE EXECUTE ON ROUTINES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE %[1]s IN SCHEMA app GRANT USAGE ON SEQUENCES TO %[5]s;
ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY; ALTER TABLE app.customers ENABLE ROW LEVEL SECURITY; ALTER TABLE app.orders FORCE ROW LEVEL SECURITY; ALTER TABLE app.customers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON app.orders TO %[1]s USING (tenant = 'a') WITH CHECK (tenant = 'a');
CREATE POLICY "all of them" ON app.customers FOR SELECT TO %[5]s, %[1]s USING (true);
INSERT INTO app.orders (tenant, note) VALUES ('a', 'mine'), ('b', 'theirs');
INSERT INTO app.customers (name, card) VALUES ('x', '4111');
`

func (w *world) connect(u string) *pgx.Conn {
	w.t.Helper()
	c, err := pgx.ParseConfig(u)
	if err != nil {
		w.t.Fatal("the URL cannot be read")
	}
	conn, err := pgx.ConnectConfig(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// login is a URL of an application; the host is a socket's folder.
func (w *world) login(user, password string) string {
	return fmt.Sprintf("postgresql://%s:%s@/%s?host=%s&application_name=x%%20y&connect_timeout=20", url.QueryEscape(user), password, w.name, url.QueryEscape(w.dir))
}

func (w *world) exec(statements ...string) {
	w.t.Helper()
	execute(w.t, w.db, statements...)
}

// execute runs statements. PostgreSQL fails one of two grants that meet on an object
// that all databases share, and others run here at the same time.
func execute(t testing.TB, db *pgx.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		eventually(t, s, func() bool {
			_, err := db.Exec(context.WithoutCancel(t.Context()), s, pgx.QueryExecModeSimpleProtocol)
			if err != nil && !strings.Contains(err.Error(), "tuple concurrently") {
				t.Fatal(err)
			}
			return err == nil
		})
	}
}

// text is the one answer of a query.
func (w *world) text(query string, args ...any) string {
	w.t.Helper()
	var s string
	if err := w.db.QueryRow(context.WithoutCancel(w.t.Context()), query, args...).Scan(&s); err != nil {
		w.t.Fatalf("%.200s: %v", query, err)
	}
	return s
}

func (w *world) write(file, text string) {
	w.t.Helper()
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// begun is a run whose new role is made.
func (w *world) begun() (*postgres.Issuer, issue.Order) {
	w.t.Helper()
	i := postgres.New(postgres.Config{})
	o := w.order
	var err error
	if o.New, _, err = i.Create(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
	if _, err = i.Set(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
	return i, o
}

// user reads the role out of a URL.
func user(t testing.TB, v secret.Value) string {
	t.Helper()
	u, err := url.Parse(v.Reveal())
	if err != nil {
		t.Fatal("no URL")
	}
	return u.User.Username()
}

func ident(s string) string { return pgx.Identifier{s}.Sanitize() }

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not within half a minute: %s", what)
		}
	}
}

// fault checks that err is a Fault that says so.
func fault(t *testing.T, err error, says ...string) {
	t.Helper()
	var f *issue.Fault
	if !errors.As(err, &f) {
		t.Fatalf("got error %v, want a *issue.Fault", err)
	}
	for _, s := range says {
		if !strings.Contains(f.Sentence, s) {
			t.Errorf("it says %q and not %q", f.Sentence, s)
		}
	}
	if len(f.Sentence) > 600 || strings.ContainsAny(f.Sentence, "\n\t") {
		t.Errorf("no sentence for people: %q", f.Sentence)
	}
}

// waits checks that err is a Wait that says so.
func waits(t *testing.T, err error, says ...string) {
	t.Helper()
	var w *issue.Wait
	if !errors.As(err, &w) {
		t.Fatalf("got error %v, want a *issue.Wait", err)
	}
	for _, s := range says {
		if !strings.Contains(w.Sentence, s) {
			t.Errorf("it says %q and not %q", w.Sentence, s)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// session is an application's connection with a value.
func (w *world) session(v secret.Value) *pgx.Conn {
	w.t.Helper()
	return w.connect(v.Reveal())
}
