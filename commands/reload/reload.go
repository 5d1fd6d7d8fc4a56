// Package reload runs the command that tells a service to read its env file again.
// It exists because that command is a stranger in rekey's house: it gets no shell,
// none of rekey's tokens, a bounded time and a bounded say, and when its time is up
// everything it started ends with it.
package reload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const (
	defaultTimeout = 30 * time.Second
	// maxOutput is how much of the end of the output is kept.
	maxOutput = 4 << 10
	// drain is how long output is waited for after the command itself has ended: a
	// daemon it started (pm2 does) may hold on to the pipe for ever.
	drain = 500 * time.Millisecond
)

// passed are the variables of rekey's environment that reload commands get: what
// systemctl --user and pm2 need, and nothing that could be a token.
var passed = []string{"PATH", "HOME", "LANG", "PM2_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"}

// Error is a command that did not do its work. Its text holds nothing the command
// said.
type Error struct {
	Command  string        // its base name
	Code     int           // exit code; -1 when it did not exit by itself
	Signal   string        // the signal that ended it, "" for none
	TimedOut time.Duration // the time it was given, when that passed; else 0
	Err      error         // why it could not be started or waited for; else nil
}

func (e *Error) Error() string {
	switch {
	case e.TimedOut > 0:
		return fmt.Sprintf("%s did not end within %v and was stopped", e.Command, e.TimedOut)
	case e.Signal != "":
		return fmt.Sprintf("%s was ended by a signal: %s", e.Command, e.Signal)
	case e.Err != nil:
		return fmt.Sprintf("%s could not be run: %v", e.Command, e.Err)
	}
	return fmt.Sprintf("%s exited with %d", e.Command, e.Code)
}

func (e *Error) Unwrap() error { return e.Err }

// Run runs argv and waits for it, at most timeout (0: 30 s); then, or when ctx ends,
// its whole process group is killed. output is the last 4 KiB of what it wrote to
// both streams, as valid UTF-8; it is not scrubbed. A failure is an *Error, or ctx's
// error.
func Run(ctx context.Context, argv []string, timeout time.Duration) (output string, err error) {
	if len(argv) == 0 || argv[0] == "" {
		return "", errors.New("reload: there is no command")
	}
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	said := &tail{limit: maxOutput}
	cmd := exec.CommandContext(limited, argv[0], argv[1:]...)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return nil
	}
	cmd.WaitDelay = drain

	err = cmd.Run()
	output = said.String()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return output, nil
	}
	if ctx.Err() != nil {
		return output, ctx.Err()
	}
	return output, explain(argv[0], err, limited.Err() != nil, timeout)
}

func explain(name string, err error, late bool, timeout time.Duration) error {
	e := &Error{Command: filepath.Base(name), Code: -1}
	var exit *exec.ExitError
	switch {
	case late:
		e.TimedOut = timeout
	case errors.As(err, &exit):
		e.Code = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			e.Signal = status.Signal().String()
		}
	default:
		e.Err = err
	}
	return e
}

func environment() []string {
	env := []string{} // not nil: nil would mean the whole environment
	for _, name := range passed {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// tail keeps the end of what is written to it.
type tail struct {
	limit int
	kept  []byte
	cut   bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
		t.cut = true
	}
	return len(p), nil
}

// String leaves out the word that was cut: the rest of a value would slip past a
// scrubber that knows whole values.
func (t *tail) String() string {
	s := strings.ToValidUTF8(string(t.kept), "�")
	if !t.cut {
		return s
	}
	return "…" + s[len(s)-len(strings.TrimLeftFunc(s, func(r rune) bool { return !unicode.IsSpace(r) })):]
}
