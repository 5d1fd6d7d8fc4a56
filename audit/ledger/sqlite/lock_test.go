package sqlite_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"rekey/audit/ledger"
	"rekey/audit/ledger/sqlite"
)

// TestMain turns the test binary into a process that holds a lock, when asked to.
func TestMain(m *testing.M) {
	if path := os.Getenv("REKEY_TEST_HOLD"); path != "" {
		if _, err := sqlite.Lock(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		select {}
	}
	os.Exit(m.Run())
}

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very binary
	cmd.Env = append(os.Environ(), "REKEY_TEST_HOLD="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	_, err = sqlite.Lock(path)
	if !errors.Is(err, ledger.ErrLocked) {
		t.Fatalf("Lock: %v", err)
	}
	if !strings.Contains(err.Error(), "process "+strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("the error does not name process %d: %v", cmd.Process.Pid, err)
	}
	appendOne(t, open(t, path)) // recording a command needs no lock
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	release, err := sqlite.Lock(path)
	if err != nil {
		t.Fatalf("after the holder was killed: %v", err)
	}
	if _, err := sqlite.Lock(path); !errors.Is(err, ledger.ErrLocked) {
		t.Errorf("a second Lock in the same process: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if release, err = sqlite.Lock(path); err != nil {
		t.Fatalf("after release: %v", err)
	}
	_ = release()
}
