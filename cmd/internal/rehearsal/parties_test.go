package rehearsal_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/smtp"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"rekey/audit/ledger/ledgertest"
	"rekey/commands/estatetest"
	"rekey/commands/issue/smtp/smtptest"
	"rekey/commands/secret"
)

// procedure is a way to rotate, with whoever makes its values valid.
type procedure struct {
	kind      secret.Procedure
	generator string
	variable  string
	// firstBack is the key of the first step of the way back from the overlap; andBack has
	// it killed in each test run and not only by "make kill".
	firstBack string
	andBack   bool
	// shownToSentry: the value is for Sentry, which may see it.
	shownToSentry bool
	furnish       func(t *testing.T, s *stage, name string) *holding
}

var procedures = []procedure{
	{kind: secret.HMACOverlap, generator: "hex32", variable: "HOOK", firstBack: "unswitch/set/web", andBack: true, furnish: hook},
	{kind: secret.DjangoKey, generator: "django", variable: "DJANGO_KEY", firstBack: "unswitch/set/api", furnish: djangoKey},
	{kind: secret.SMTPPassword, generator: "supplied", variable: "MAIL_PASSWORD", firstBack: "unswitch/try", furnish: mailPassword},
	{kind: secret.PostgresRole, generator: "supplied", variable: "DATABASE", firstBack: "unswitch/try", andBack: true, furnish: databaseRole},
	{kind: secret.SentryKey, generator: "supplied", variable: "DSN", firstBack: "unswitch/try", shownToSentry: true, furnish: clientKey},
	{kind: secret.OwnCommands, generator: "hex32", variable: "TOKEN", firstBack: "unswitch/try", furnish: token},
}

func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func quoted(args ...string) string {
	all := make([]string, len(args))
	for i, a := range args {
		all[i] = fmt.Sprintf("%q", a)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func hook(*testing.T, *stage, string) *holding {
	return &holding{live: secret.NewValue(random()), scheme: "hmac", roles: [2]string{"accepts", "signs"}}
}

// djangoKey is SECRET_KEY: api verifies and signs, web only signs.
func djangoKey(t *testing.T, _ *stage, name string) *holding {
	t.Helper()
	sessions := filepath.Join(t.TempDir(), name)
	do := func(what string) string { return quoted(prop("sessions", what, sessions)...) }
	return &holding{
		live: secret.NewValue(random()), scheme: "django", roles: [2]string{"both", "signs"},
		lines: []string{fmt.Sprintf("sessions: {count: %s, end: %s, tidy: %s}", do("count"), do("end"), do("tidy"))},
	}
}

// prop is a command of the owner's: this program, told by its arguments.
func prop(args ...string) []string {
	return append([]string{os.Getenv(estatetest.ExecutableVariable)}, args...)
}

const noUses = "uses"

// mailPassword is given out by a real SMTP server, where a person makes it and deletes it.
func mailPassword(t *testing.T, _ *stage, name string) *holding {
	t.Helper()
	server, err := smtptest.Start(smtptest.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("ending the mail server: %v", err)
		}
	})
	user := strings.ToLower(name)
	g := &holding{
		live: secret.NewValue("first-" + random()), roles: [2]string{noUses, noUses},
		works: func(v secret.Value) bool { return mayLogIn(t, server, user, v) },
		valid: func() int { return len(server.Passwords(user)) },
		lines: []string{fmt.Sprintf("issuer: {server: %q, username: %s, from: noreply@leather.example, to: admin@leather.example, ca_file: %q}", server.Addr(), user, server.CAFile())},
	}
	server.Add(user, g.live)
	provided := map[string]secret.Value{}
	g.person = func(h *house, run, step string) {
		h.t.Helper()
		switch fresh, done := provided[run]; {
		case step == "create" && !done:
			provided[run] = secret.NewValue("fresh-" + random())
			g.seen = append(g.seen, provided[run])
			h.knows(g, provided[run].Reveal(), fmt.Sprintf("value %d of %s", len(g.seen), g.variable))
			server.Add(user, provided[run])
			h.provide(run, provided[run])
		case step == "retire/revoke":
			for _, v := range g.seen {
				if !v.Equal(fresh) {
					server.Revoke(user, v, true)
				}
			}
		case step == "rollback/withdraw":
			server.Revoke(user, fresh, true)
		}
	}
	return g
}

// provide brings a run its value, as a process of its own that reads standard input.
func (h *house) provide(run string, v secret.Value) {
	h.t.Helper()
	ctx, cancel := h.ctx()
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Getenv(estatetest.ExecutableVariable), "provide", run)
	cmd.Env = append(h.Environ(), commandVariable+"=1")
	cmd.Stdin = strings.NewReader(v.Reveal() + "\n")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	_, _ = h.said.Write(out)
	if err != nil {
		h.t.Fatalf("rekey provide: %v: %s", err, out)
	}
}

// mayLogIn logs in as a mail client does.
func mayLogIn(t *testing.T, server *smtptest.Server, user string, v secret.Value) bool {
	t.Helper()
	ca, err := os.ReadFile(server.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(ca)
	c, err := smtp.Dial(server.Addr())
	if err != nil {
		t.Fatalf("calling the mail server: %v", err)
	}
	defer func() { _ = c.Close() }() // nothing was sent
	if err := c.StartTLS(&tls.Config{RootCAs: trust, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}); err != nil {
		t.Fatalf("calling the mail server: %v", err)
	}
	return c.Auth(smtp.PlainAuth("", user, v.Reveal(), "127.0.0.1")) == nil
}

// strict makes the test's PostgreSQL ask everybody but its superuser for a password. The
// superuser keeps rekey's own databases in it.
var strict = sync.OnceValue(func() error { return nil })

var strictness struct {
	sync.Mutex
	done bool
}

func askForPasswords(t *testing.T, db *pgx.Conn) {
	t.Helper()
	strictness.Lock()
	defer strictness.Unlock()
	if strictness.done {
		return
	}
	var file string
	if err := db.QueryRow(t.Context(), "SHOW hba_file").Scan(&file); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"COPY (SELECT unnest(ARRAY['local all postgres trust', 'local all all scram-sha-256'])) TO '" + file + "'", "SELECT pg_reload_conf()",
	} {
		if _, err := db.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	strictness.done = true
}

// databaseRole is a login role of a real PostgreSQL, a member of the group that owns the
// tables.
func databaseRole(t *testing.T, _ *stage, name string) *holding {
	t.Helper()
	admin := ledgertest.Postgres(t)
	db, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(t.Context()) })
	askForPasswords(t, db)
	id, password := strings.ToLower(rand.Text()[:8]), random()
	owner, role := "owner_"+id, "app_"+id
	address, err := url.Parse(admin)
	if err != nil {
		t.Fatal("the test server's address is no URL")
	}
	for _, statement := range []string{
		"CREATE ROLE " + owner + " NOLOGIN",
		"CREATE ROLE " + role + " LOGIN PASSWORD '" + password + "' IN ROLE " + owner,
		`ALTER DATABASE "` + strings.TrimPrefix(address.Path, "/") + `" OWNER TO ` + owner,
		"CREATE TABLE articles (views int)", "ALTER TABLE articles OWNER TO " + owner,
	} {
		if _, err := db.Exec(t.Context(), statement); err != nil {
			t.Fatalf("preparing the application's database: %v", err)
		}
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(admin), 0o600); err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword(role, password)
	return &holding{
		live: secret.NewValue(address.String()), roles: [2]string{noUses, noUses},
		lines: []string{fmt.Sprintf("issuer: {admin: {file: %q}, owner: %s, queries: [%q, %q]}", file, owner, "SELECT views FROM articles", "INSERT INTO articles VALUES (1)")},
		works: func(v secret.Value) bool {
			conn, err := pgx.Connect(t.Context(), v.Reveal())
			if err != nil {
				return false
			}
			defer func() { _ = conn.Close(t.Context()) }() // nothing is lost
			_, err = conn.Exec(t.Context(), "INSERT INTO articles VALUES (2)")
			return err == nil
		},
		// Roles that cannot log in any more count as well: they must be gone in the end.
		valid: func() (n int) {
			err := db.QueryRow(t.Context(), `SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
				WHERE m.roleid = $1::regrole AND r.rolname <> 'postgres'`, owner).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			return n
		},
		core: func(value string) string {
			u, err := url.Parse(value)
			if err != nil {
				t.Fatal("the application's address is no URL")
			}
			p, _ := u.User.Password()
			return p
		},
	}
}

// clientKey is a client key of Sentry's.
func clientKey(t *testing.T, s *stage, name string) *holding {
	t.Helper()
	s.Sentry.Grant("event:read", "project:read", "project:write", "project:admin")
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(s.Sentry.Token()), 0o600); err != nil {
		t.Fatal(err)
	}
	others := map[string]bool{} // keys of the world and of the other stores' secrets
	for _, k := range s.Sentry.Keys() {
		others[k.Public] = true
	}
	g := &holding{
		live: secret.NewValue(s.Sentry.DSNOf(s.Sentry.AddKey("leather "+name), false)), roles: [2]string{noUses, noUses},
		lines: []string{fmt.Sprintf("issuer: {token: {file: %q}}", file)},
	}
	g.works = func(v secret.Value) bool {
		for _, k := range s.Sentry.Keys() {
			if s.Sentry.DSNOf(k, false) == v.Reveal() {
				return k.Active
			}
		}
		return false
	}
	// Keys that are switched off count as well: they must be gone in the end.
	g.valid = func() (n int) {
		for _, k := range s.Sentry.Keys() {
			dsn := s.Sentry.DSNOf(k, false)
			if slices.ContainsFunc(g.seen, func(v secret.Value) bool { return v.Reveal() == dsn }) {
				n++
			}
		}
		return n
	}
	return g
}

// token is made by commands of the owner's, whose register is a folder with a file for
// each value that works.
func token(t *testing.T, _ *stage, _ string) *holding {
	t.Helper()
	dir := t.TempDir()
	do := func(step string) string { return step + ": " + quoted(prop("owner", step, dir)...) }
	g := &holding{
		live: secret.NewValue(random()), roles: [2]string{noUses, noUses},
		lines: []string{"issuer: {" + strings.Join([]string{do("create"), do("set"), do("test"), do("retire"), do("revive"), do("finish"), do("rollback")}, ", ") + "}"},
		works: func(v secret.Value) bool { return lets(dir, v.Reveal()) },
		valid: func() int {
			files, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			return len(files)
		},
	}
	if err := let(dir, g.live.Reveal(), true); err != nil {
		t.Fatal(err)
	}
	return g
}
