package ledgertest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rekey/audit/ledger/ledgertest"
)

// TestMain turns the test binary into one that uses the server and hangs, when
// asked to.
func TestMain(m *testing.M) {
	if os.Getenv("REKEY_TEST_HANG") == "" {
		os.Exit(m.Run())
	}
	testing.Main(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{{
		Name: "hang",
		F: func(t *testing.T) {
			fmt.Println(ledgertest.Postgres(t))
			select {}
		},
	}}, nil, nil)
}

// TestServerEndsWithItsBinary: also one that is killed leaves neither a process nor
// a folder behind.
func TestServerEndsWithItsBinary(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "REKEY_TEST_HANG=1", "REKEY_TEST_POSTGRES=")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the other binary says %q, %v", line, err)
	}
	address := strings.TrimSpace(line)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	dir := u.Query().Get("host")
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", dir)
		}
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the server still answers")
	}
}

// TestDatabasesAreFresh: each caller gets a database of its own.
func TestDatabasesAreFresh(t *testing.T) {
	t.Parallel()
	for range 2 {
		conn, err := pgx.Connect(t.Context(), ledgertest.Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		if _, err := conn.Exec(t.Context(), "CREATE TABLE mine ()"); err != nil {
			t.Error(err)
		}
	}
	if path := ledgertest.PostgresTool(t, "pg_dump"); path == "" {
		t.Error("no pg_dump")
	}
}
