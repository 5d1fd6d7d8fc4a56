package reload_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rekey/commands/reload"
)

// TestMain lets the test program be the command that is run: arguments decide,
// because a command gets next to nothing of the environment.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "show-environment":
			fmt.Println(strings.Join(os.Environ(), "\n"))
			os.Exit(0)
		case "exit":
			fmt.Fprintln(os.Stderr, "no such service; said with X=secret")
			os.Exit(3)
		case "talk":
			fmt.Print(strings.Repeat("x", 10_000) + " " + strings.Repeat("line of output\n", 100) + "the end")
			os.Exit(0)
		case "hang":
			_ = os.WriteFile(os.Args[2], []byte(strconv.Itoa(os.Getpid())), 0o600)
			time.Sleep(time.Hour)
		case "die":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			time.Sleep(time.Hour)
		}
	}
	os.Exit(m.Run())
}

func self(t *testing.T, args ...string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{exe}, args...)
}

func TestTokensDoNotReachTheCommand(t *testing.T) {
	t.Setenv("SLACK_BOT_TOKEN", "xoxb-canary")
	t.Setenv("PM2_HOME", "/srv/pm2")
	out, err := reload.Run(t.Context(), self(t, "show-environment"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out, "canary") || !strings.Contains(out, "PM2_HOME=/srv/pm2") || !strings.Contains(out, "PATH=") {
		t.Error("the command's environment is not the short list it should be")
	}
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(line, "=")
		if !strings.Contains(" PATH HOME LANG PM2_HOME XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS ", " "+name+" ") {
			t.Errorf("%s was passed on", name)
		}
	}
}

// Guide: procedures/revalidate-secret/deploy, procedures/analytics-secret/deploy
func TestFailuresAreTold(t *testing.T) {
	t.Parallel()
	out, err := reload.Run(t.Context(), self(t, "exit"), 0)
	var failed *reload.Error
	if !errors.As(err, &failed) || failed.Code != 3 || !strings.HasSuffix(err.Error(), "exited with 3") {
		t.Errorf("got %v, want an exit with 3", err)
	}
	if !strings.Contains(out, "no such service") || strings.Contains(err.Error(), "no such service") {
		t.Error("what the command said belongs into the output and not into the error")
	}
	if _, err = reload.Run(t.Context(), self(t, "die"), 0); !errors.As(err, &failed) || failed.Signal != "killed" {
		t.Errorf("got %v, want a signal", err)
	}
	if _, err = reload.Run(t.Context(), []string{"/no/such/command"}, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
	if _, err = reload.Run(t.Context(), nil, 0); err == nil {
		t.Error("no command was run without complaint")
	}
}

func TestNoShell(t *testing.T) {
	t.Parallel()
	out, err := reload.Run(t.Context(), []string{"echo", "$HOME; $(id) `id` > /dev/null"}, 0)
	if err != nil || out != "$HOME; $(id) `id` > /dev/null\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestOutputIsTheEnd(t *testing.T) {
	t.Parallel()
	out, err := reload.Run(t.Context(), self(t, "talk"), 0)
	if err != nil || len(out) > 4<<10+3 || !strings.HasSuffix(out, "line of output\nthe end") || strings.Contains(out, "x") {
		t.Errorf("%v: %d bytes, ending in %.30q; want the last 4 KiB from a whole word on", err, len(out), out[max(0, len(out)-30):])
	}
}

// TestTheWholeGroupEnds starts a shell that starts another process and waits for it.
func TestTheWholeGroupEnds(t *testing.T) {
	t.Parallel()
	pidFile := t.TempDir() + "/pid"
	child := self(t, "hang", pidFile)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := reload.Run(ctx, append([]string{"sh", "-c", `"$0" "$@" & wait`}, child...), time.Hour)
		ended <- err
	}()
	pid := 0
	eventually(t, func() bool {
		text, _ := os.ReadFile(pidFile)
		pid, _ = strconv.Atoi(string(text))
		return pid > 0
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	eventually(t, func() bool { return gone(pid) })
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	_, err := reload.Run(t.Context(), []string{"sleep", "3600"}, 50*time.Millisecond)
	var failed *reload.Error
	if !errors.As(err, &failed) || failed.TimedOut != 50*time.Millisecond || err.Error() != "sleep did not end within 50ms and was stopped" {
		t.Errorf("got %v", err)
	}
}

// TestADaemonDoesNotHoldUp: pm2 leaves a daemon behind that keeps its output open.
func TestADaemonDoesNotHoldUp(t *testing.T) {
	t.Parallel()
	out, err := reload.Run(t.Context(), []string{"sh", "-c", "echo $$; sleep 3600 & echo $!"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(out[strings.IndexByte(out, '\n'):]))
	if err != nil || gone(pid) {
		t.Fatalf("the daemon was ended with the command that started it (%v)", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

// gone reports that a process has ended; one that nobody has waited for counts.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) != nil
	}
	return strings.Contains(string(stat), ") Z ")
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within 20 s")
		}
	}
}
