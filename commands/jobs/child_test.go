package jobs_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rekey/commands/jobs"
)

// asChild makes the test binary a process that works runs until its stdin is closed:
// "kind|address|lease|step|file". At that step it waits until the file exists, so that
// the test finds it in the middle of an act however slow the machine is. Only a process
// of its own can be killed and paused.
const asChild = "REKEY_JOBS_TEST_CHILD"

func TestMain(m *testing.M) {
	if spec := os.Getenv(asChild); spec != "" {
		if err := childMain(spec); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Println("goroutines outlived the tests:", err)
		code = 1
	}
	os.Exit(code)
}

const stepsOfChild = 8

func childMain(spec string) error {
	part := strings.Split(spec, "|")
	d := database{part[0], part[1]}
	lease, err := time.ParseDuration(part[2])
	if err != nil {
		return err
	}
	hold, err := strconv.Atoi(part[3])
	if err != nil {
		return err
	}
	act := func(step int) {
		for step == hold {
			time.Sleep(10 * time.Millisecond)
			if _, err := os.Stat(part[4]); err == nil {
				return
			}
		}
	}
	ctx := context.Background()
	store, err := d.connect(ctx)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	e, err := jobs.New(ctx, jobs.Config{
		Store: store, Replica: "child", Exclusive: d.exclusive(), Lease: lease, Beat: lease / 6,
		Work:    procedure(store, stepsOfChild, act, say),
		Deliver: func(context.Context, string) error { return nil },
	})
	if err != nil {
		return err
	}
	if err := e.Start(ctx); err != nil {
		return err
	}
	say("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := e.Stop(ctx); err != nil {
		return err
	}
	say("stopped")
	return store.Close()
}

// child is a running child process.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan string
}

// spawn starts a child that waits at step hold (0: at none) until file exists.
func spawn(t *testing.T, d database, lease time.Duration, hold int, file string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatalf("finding the test binary: %v", err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%s|%d|%s", asChild, d.kind, d.addr, lease, hold, file))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("piping to the child: %v", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("piping from the child: %v", err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the child: %v", err)
	}
	c := &child{t: t, cmd: cmd, stdin: stdin, lines: make(chan string, 10_000)}
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			c.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	})
	c.expect("ready")
	return c
}

// expect waits for a line that starts with prefix and answers it; other lines are
// passed over.
func (c *child) expect(prefix string) string {
	c.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("the child ended before it said %q", prefix)
			}
			if strings.HasPrefix(line, prefix) {
				return line
			}
			if strings.HasPrefix(line, "error") {
				c.t.Fatalf("the child said %q", line)
			}
		case <-timeout:
			c.t.Fatalf("waited %s in vain for the child to say %q", patience, prefix)
		}
	}
}

func (c *child) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatalf("sending %s to the child: %v", s, err)
	}
}

func touch(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatalf("creating a file: %v", err)
	}
}
