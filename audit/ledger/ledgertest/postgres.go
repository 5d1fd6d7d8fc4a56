package ledgertest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres creates an empty database in a real PostgreSQL server and answers its
// URL; the database is dropped when the test ends. The server is one per test
// binary: started on first use, listening on a socket in a folder of its own, with
// fsync on, as an ordinary user where the tests run as root. It ends with the test
// binary, even one that was killed. REKEY_TEST_POSTGRES, the URL of a server whose
// user may create databases, is used instead when set.
func Postgres(t testing.TB) string {
	t.Helper()
	server, err := cluster()
	if err != nil {
		t.Fatal(err)
	}
	name := "rekey_" + rand.Text()
	admin(t, server, `CREATE DATABASE "`+name+`"`)
	t.Cleanup(func() { admin(t, server, `DROP DATABASE "`+name+`" WITH (FORCE)`) })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("REKEY_TEST_POSTGRES is not a URL")
	}
	u.Path = "/" + name
	return u.String()
}

// PostgresTool answers the path of one of PostgreSQL's programs ("pg_dump").
func PostgresTool(t testing.TB, name string) string {
	t.Helper()
	path, err := tool(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func admin(t testing.TB, server, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatalf("connecting to the test server: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// cluster answers the URL of the test server, starting it on the first call.
var cluster = sync.OnceValues(func() (string, error) {
	if u := os.Getenv("REKEY_TEST_POSTGRES"); u != "" {
		return u, nil
	}
	return start()
})

// guardian runs the server ($1: program, $2: data folder, $3: folder to remove)
// and waits for its standard input to end. The other end of that pipe is held by
// the test binary alone, so it ends when the binary does, whatever the reason.
const guardian = `"$1" -D "$2" >"$3/log" 2>&1 &
pid=$!
cat >/dev/null
kill -QUIT $pid
wait $pid
rm -rf "$3"`

// lifeline is the test binary's end of the guardian's pipe. It is kept here so that
// the garbage collector does not close it.
var lifeline *os.File //nolint:unused // being held is its use

func start() (string, error) {
	initdb, err := tool("initdb")
	if err != nil {
		return "", err
	}
	postgres, err := tool("postgres")
	if err != nil {
		return "", err
	}
	dir, attr, err := home()
	if err != nil {
		return "", fmt.Errorf("making a folder for PostgreSQL: %w", err)
	}
	data := filepath.Join(dir, "data")
	cmd := exec.Command(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = dir, attr
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	conf := fmt.Sprintf("listen_addresses = ''\nunix_socket_directories = '%s'\nmax_connections = 300\n", dir)
	if err := os.WriteFile(filepath.Join(data, "postgresql.auto.conf"), []byte(conf), 0o600); err != nil {
		return "", err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	lifeline = w
	cmd = exec.Command("/bin/sh", "-c", guardian, "sh", postgres, data, dir)
	cmd.Dir, cmd.Stdin = dir, r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: attr.Credential}
	err = cmd.Start()
	_ = r.Close()
	if err != nil {
		return "", fmt.Errorf("starting PostgreSQL: %w", err)
	}
	server := (&url.URL{
		Scheme: "postgres", User: url.User("postgres"), Path: "/postgres",
		RawQuery: url.Values{"host": {dir}, "port": {"5432"}, "sslmode": {"disable"}}.Encode(),
	}).String()
	return server, await(server, dir)
}

// await waits until the server takes connections.
func await(server, dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, server)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(dir, "log")) //nolint:gosec // our own folder
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// home makes the server's folder. PostgreSQL refuses to run as root; there the
// folder and the processes belong to the user postgres, or nobody.
func home() (dir string, attr *syscall.SysProcAttr, err error) {
	attr = &syscall.SysProcAttr{}
	tmp := os.TempDir()
	if len(tmp) > 60 {
		tmp = "/tmp" // the path of a socket has at most 107 bytes
	}
	dir, err = os.MkdirTemp(tmp, "rekey-postgres-")
	if err != nil || os.Getuid() != 0 {
		return dir, attr, err
	}
	uid, gid := ordinary()
	attr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	return dir, attr, os.Chown(dir, int(uid), int(gid))
}

func ordinary() (uid, gid uint32) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return uint32(uid), uint32(gid)
		}
	}
	return 65534, 65534
}

// tool finds one of PostgreSQL's programs: in $REKEY_PG_BIN, in PATH, or where
// Debian, Homebrew and the vendor's packages put them, newest version first.
func tool(name string) (string, error) {
	if dir := os.Getenv("REKEY_PG_BIN"); dir != "" {
		return exec.LookPath(filepath.Join(dir, name))
	}
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/", "/usr/pgsql-*/bin/", "/opt/homebrew/opt/postgresql*/bin/"} {
		found, _ := filepath.Glob(pattern + name)
		slices.Sort(found)
		for _, path := range slices.Backward(found) {
			if path, err := exec.LookPath(path); err == nil {
				return path, nil
			}
		}
	}
	return "", errors.New("PostgreSQL's " + name + " was not found: install the PostgreSQL server (Debian: apt-get install postgresql) " +
		"or name its folder in REKEY_PG_BIN")
}
