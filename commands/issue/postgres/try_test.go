package postgres_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rekey/audit/ledger/ledgertest"
	"rekey/commands/issue"
	"rekey/commands/issue/postgres"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// says checks one answer.
func says(t *testing.T, try verify.Try, want verify.Answer, why string) {
	t.Helper()
	if try.Answer != want || !strings.Contains(try.Why, why) {
		t.Errorf("it answers %v (%q), want %v (%q)", try.Answer, try.Why, want, why)
	}
	if strings.Contains(try.Why, "Canary") {
		t.Error("a value leaks")
	}
}

// TestTry: only a login that would have failed with another password counts, and only
// with everything the application needs.
//
// Guide: procedures/database-url/test-connection
func TestTry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := postgres.New(postgres.Config{})
	try := func(v secret.Value, queries ...string) verify.Try { return i.Try(t.Context(), v, queries) }
	old := w.order.Old
	says(t, i.Test(t.Context(), w.order, old), verify.Accepted, "")
	if got := w.text("SELECT count(*)::text FROM app.orders"); got != "2" {
		t.Errorf("a query was not taken back: %s orders", got)
	}
	says(t, try(old), verify.Accepted, "")
	says(t, try(secret.NewValue(w.login(w.app, "CanaryWrong"))), verify.Refused, "password authentication failed")
	says(t, try(secret.NewValue(w.login("nobody", "CanaryWrong"))), verify.Refused, "nobody")
	says(t, try(secret.NewValue(strings.Replace(old.Reveal(), "/"+w.name+"?", "/nothing?", 1))), verify.Unknown, "nothing")
	says(t, try(secret.NewValue("CanaryNoURL")), verify.Unknown, "not a postgres://")
	says(t, try(secret.Value{}), verify.Unknown, "not a postgres://")
	says(t, try(secret.NewValue("postgres://a:CanaryX@%2Fnowhere/b")), verify.Unknown, "no such file")
	says(t, try(secret.NewValue("postgres://a:CanaryX@h/b?sslmode=CanaryY")), verify.Unknown, "not understood")
	says(t, try(old, "SELECT 1", "SELECT nothing"), verify.Unknown, `the query "SELECT nothing" fails`)
	says(t, try(old, "DELETE FROM app.customers"), verify.Unknown, "permission denied")
	says(t, try(old, "COMMIT"), verify.Unknown, "ends the transaction")
	says(t, try(old, "INSERT INTO app.orders (tenant) VALUES ('a'); COMMIT"), verify.Unknown, "fails")
	if got := w.text("SELECT count(*)::text FROM app.orders"); got != "2" {
		t.Errorf("a query was not taken back: %s orders", got)
	}

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	says(t, i.Try(ended, old, nil), verify.Unknown, "")

	w.exec("ALTER ROLE " + ident(w.app) + " NOLOGIN")
	says(t, try(old), verify.Refused, "not permitted to log in")
	w.exec("ALTER ROLE " + ident(w.app) + " LOGIN CONNECTION LIMIT 0")
	says(t, try(old), verify.Unknown, "too many connections")
	w.exec("ALTER ROLE "+ident(w.app)+" CONNECTION LIMIT -1", "REVOKE CONNECT ON DATABASE "+ident(w.name)+" FROM "+ident(w.app))
	says(t, try(old), verify.Unknown, "permission denied")
	w.exec("GRANT CONNECT ON DATABASE "+ident(w.name)+" TO "+ident(w.app), "GRANT open_door TO "+ident(w.app))
	says(t, try(old), verify.Unknown, "does not ask for a password")
}

// Options that belong to the application and spellings of other drivers stand in no
// one's way, and this process's own environment has no say.
func TestForeignOptions(t *testing.T) { //nolint:paralleltest // it sets the environment
	w := newWorld(t)
	t.Setenv("PGPASSWORD", w.password)
	t.Setenv("PGHOST", "/nowhere")
	t.Setenv("PGPORT", "1")
	t.Setenv("PGSSLMODE", "verify-full")
	t.Setenv("PGOPTIONS", "-c nonsense=1")
	t.Setenv("PGTARGETSESSIONATTRS", "standby")
	i := postgres.New(postgres.Config{})
	for _, more := range []string{"&conn_max_age=600&ssl_require=true", "&schema=public&pgbouncer=true&connection_limit=5", "&sslmode=no-verify", "&options=-csearch_path%3Dapp"} {
		says(t, i.Test(t.Context(), w.order, secret.NewValue(w.order.Old.Reveal()+more)), verify.Accepted, "")
	}
	says(t, i.Try(t.Context(), secret.NewValue(w.login(w.app, "CanaryWrong")), nil), verify.Refused, "")
	says(t, i.Try(t.Context(), secret.NewValue(w.order.Old.Reveal()+"&target_session_attrs=standby"), nil), verify.Unknown, "no server of the URL")
}

// standby starts a replica of the world's server and answers its port on 127.0.0.1.
func (w *world) standby() string {
	w.t.Helper()
	dir := filepath.Join(w.dir, "standby-"+w.id)
	info, err := os.Stat(w.dir)
	must(w.t, err)
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		w.t.Fatal("the server's folder has no owner")
	}
	attr := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
	}
	cmd := exec.Command(ledgertest.PostgresTool(w.t, "pg_basebackup"), "-h", w.dir, "-U", "postgres", "-D", dir, "-R", "-X", "stream", "-c", "fast", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = w.dir, attr
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("copying the server: %v: %s", err, out)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	_, port, err := net.SplitHostPort(free.Addr().String())
	must(w.t, err)
	must(w.t, free.Close())
	// The server ends with this pipe, whatever becomes of the test.
	server := exec.Command("/bin/sh", "-c", `"$1" -D "$2" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories="" -c fsync=off >"$2/said" 2>&1 & pid=$!; cat >/dev/null; kill -QUIT $pid; wait $pid`,
		"sh", ledgertest.PostgresTool(w.t, "postgres"), dir, port)
	server.Dir, server.SysProcAttr = w.dir, attr
	life, err := server.StdinPipe()
	must(w.t, err)
	must(w.t, server.Start())
	w.t.Cleanup(func() {
		_ = life.Close()
		_ = server.Wait()
	})
	return port
}

// Every server of a URL counts: its logins, its sessions, and that it may lag or be down.
//
// Guide: procedures/database-url/test-connection
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	port := w.standby()
	both := func(user, password, first string) string {
		return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%s,%s/%s?target_session_attrs=read-write&connect_timeout=20%s",
			url.QueryEscape(user), password, port, url.QueryEscape(w.dir), w.name, first)
	}
	w.order.Old = secret.NewValue(both(w.app, w.password, ""))
	w.exec("CREATE ROLE chief_" + w.id + " LOGIN SUPERUSER PASSWORD 'chief'")
	w.write(w.order.Place.Issuer.Postgres.Admin.File, both("chief_"+w.id, "chief", "")) // the standby first
	i := postgres.New(postgres.Config{})
	eventually(t, "the standby has it all", func() bool {
		return i.Test(t.Context(), w.order, w.order.Old).Answer == verify.Accepted
	})
	eventually(t, "the standby knows the admin", func() bool {
		_, err := i.Check(t.Context(), w.order)
		return err == nil
	})
	w.order.Compromised = true
	i, o := w.begun()
	eventually(t, "the new role is everywhere", func() bool { return i.Test(t.Context(), o, o.New).Answer == verify.Accepted })

	// A session on the standby is one that the first server knows nothing of.
	at := strings.Replace(strings.Replace(o.Old.Reveal(), ","+url.QueryEscape(w.dir), "", 1), "read-write", "any", 1)
	reader := w.session(secret.NewValue(at + "&application_name=reports"))
	u, err := i.Usage(t.Context(), o)
	must(t, err)
	if diff := cmp.Diff([]string{"127.0.0.1 (reports, 1 session)"}, u.Users); diff != "" {
		t.Errorf("who uses it: %s", diff)
	}
	must(t, act(t.Context(), i, issue.Retire, o))
	eventually(t, "the reader is out", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return reader.Ping(ctx) != nil
	})
	eventually(t, "the old value is refused everywhere", func() bool { return i.Test(t.Context(), o, o.Old).Answer == verify.Refused })

	// While replication stands still, the servers say different things.
	standby, err := pgx.Connect(t.Context(), strings.Replace(at, url.QueryEscape(w.app)+":"+w.password, "chief_"+w.id+":chief", 1))
	must(t, err)
	execute(t, standby, "SELECT pg_wal_replay_pause()")
	must(t, act(t.Context(), i, issue.Revive, o))
	says(t, i.Test(t.Context(), o, o.Old), verify.Unknown, "accepts it and 127.0.0.1:"+port+" refuses it")
	execute(t, standby, "SELECT pg_wal_replay_resume()")
	must(t, standby.Close(t.Context()))
	eventually(t, "the standby has heard", func() bool { return i.Test(t.Context(), o, o.Old).Answer == verify.Accepted })

	// One that is down says nothing about a password, and is named.
	down := strings.Replace(o.New.Reveal(), ","+url.QueryEscape(w.dir), ","+url.QueryEscape(w.dir)+",127.0.0.1:1", 1)
	says(t, i.Try(t.Context(), secret.NewValue(down), nil), verify.Accepted, "127.0.0.1:1: ")
}
