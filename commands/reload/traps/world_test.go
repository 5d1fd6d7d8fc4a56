package traps_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/audit/audittest/programtest"
	"rekey/commands/reload/traps"
	"rekey/commands/secret"
)

// TestMain lets the test program be the service that is looked at, under any command
// line: a variable decides, because the arguments are what is looked at.
func TestMain(m *testing.M) {
	if os.Getenv("TRAPS_BE_A_SERVICE") != "" {
		fmt.Println("up")
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

const (
	oldValue = "old-value-4711-aaaaaaaaaaaa"
	other    = "other-value-0815-bbbbbbbbbb"
)

// service starts a process with this command line and environment and answers its
// number once it runs.
func service(t *testing.T, dir string, env []string, argv ...string) int {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{Path: self, Args: argv, Dir: dir, Env: append([]string{"TRAPS_BE_A_SERVICE=1"}, env...)}
	return start(t, cmd)
}

// start starts a command and waits for its first line.
func start(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the service did not come up: %v", err)
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
		// Python tells of a child when its exec has closed the pipe between them, which is
		// a moment before the kernel has laid out its environment.
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err == nil && len(env) > 0 {
				break
			}
		}
		return pid
	}
	return cmd.Process.Pid
}

// consumer reads an env file with oldValue in it.
func consumer(t *testing.T, reload ...string) secret.Consumer {
	t.Helper()
	return secret.Consumer{Name: "api", Store: secret.Dotenv, Location: file(t, ".env", "SECRET="+oldValue+"\n"), Reload: reload}
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pidFile(t *testing.T, pid int) string {
	t.Helper()
	return file(t, "main.pid", strconv.Itoa(pid)+"\n")
}

// tool is a program of this name that answers when it is asked with this first
// argument, in place of what this machine lacks.
func tool(t *testing.T, name, asked, answer string) string {
	t.Helper()
	text := file(t, "answer", answer)
	path := filepath.Join(t.TempDir(), name)
	if err := programtest.Write(path, "#!/bin/sh\nfor a in \"$@\"; do [ \"$a\" = '"+asked+"' ] && exec cat '"+text+"'; done\necho unexpected >&2\nexit 1\n"); err != nil {
		t.Fatal(err)
	}
	return path
}

// look looks, and checks that nothing it says holds a value.
func look(t *testing.T, c secret.Consumer) []traps.Trap {
	t.Helper()
	found := traps.Look(t.Context(), c, []string{"SECRET", "SECRET_OLD"})
	for _, f := range found {
		if strings.Contains(f.Sentence, oldValue) || strings.Contains(f.Sentence, other) {
			t.Fatalf("%s holds a value", f.Name)
		}
		if !strings.HasSuffix(f.Sentence, ".") || strings.ContainsAny(f.Sentence, "\n\x00") {
			t.Errorf("no sentence: %q", f.Sentence)
		}
		if (f.Severity == traps.Unknown) != (f.Name == traps.CannotLook) {
			t.Errorf("%s is of severity %s", f.Name, f.Severity)
		}
	}
	return found
}

// want checks the traps found: "name severity" each, in order.
func want(t *testing.T, found []traps.Trap, wanted ...string) {
	t.Helper()
	var got []string
	for _, f := range found {
		got = append(got, f.Name+" "+string(f.Severity))
	}
	if strings.Join(got, ", ") != strings.Join(wanted, ", ") {
		t.Errorf("found %q, want %q", got, wanted)
		for _, f := range found {
			t.Logf("%s", f.Sentence)
		}
	}
}

// says checks that one of the sentences says so.
func says(t *testing.T, found []traps.Trap, text string) {
	t.Helper()
	for _, f := range found {
		if strings.Contains(f.Sentence, text) {
			return
		}
	}
	t.Errorf("no sentence says %q in %+v", text, found)
}
