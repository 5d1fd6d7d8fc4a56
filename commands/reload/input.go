package reload

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// maxAnswer is how much of standard output RunInput keeps: a secret is shorter.
const maxAnswer = 64 << 10

// ErrTooMuch says that a command wrote more to standard output than its caller wants to
// read.
var ErrTooMuch = errors.New("it wrote more to standard output than is read")

// Said is what a command wrote. Neither part is scrubbed, and Stdout may be a secret.
type Said struct {
	Stdout []byte // all of it
	Stderr string // the last 4 KiB, as valid UTF-8
}

// RunInput is Run for a command that is given something on standard input and whose
// standard output is its answer. input reaches it through a pipe, never as an argument
// or in the environment, which other users of the machine and tools that list processes
// may see. A failure is an *Error, ErrTooMuch, or ctx's error.
func RunInput(ctx context.Context, argv []string, timeout time.Duration, input []byte) (Said, error) {
	return ask(ctx, argv, timeout, input, maxAnswer)
}

// Ask is RunInput for a command that is given nothing and answers with at most limit
// bytes.
func Ask(ctx context.Context, argv []string, timeout time.Duration, limit int) (Said, error) {
	return ask(ctx, argv, timeout, nil, limit)
}

func ask(ctx context.Context, argv []string, timeout time.Duration, input []byte, limit int) (Said, error) {
	if len(argv) == 0 || argv[0] == "" {
		return Said{}, errors.New("reload: there is no command")
	}
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, complaint := &head{limit: limit}, &tail{limit: maxOutput}
	cmd := exec.CommandContext(limited, argv[0], argv[1:]...)
	cmd.Env = environment()
	// A reader that is no file becomes a pipe. A command that does not read to the end
	// is none the worse: a broken pipe is not reported.
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stdout, cmd.Stderr = answer, complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return nil
	}
	cmd.WaitDelay = drain

	err := cmd.Run()
	said := Said{Stdout: answer.kept, Stderr: strings.TrimSpace(complaint.String())}
	switch {
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		if ctx.Err() != nil {
			return said, ctx.Err()
		}
		return said, explain(argv[0], err, limited.Err() != nil, timeout)
	case answer.over:
		return said, ErrTooMuch
	}
	return said, nil
}

// head keeps the beginning of what is written to it.
type head struct {
	limit int
	kept  []byte
	over  bool
}

func (h *head) Write(p []byte) (int, error) {
	if room := h.limit - len(h.kept); len(p) > room {
		h.kept, h.over = append(h.kept, p[:room]...), true
		return len(p), nil
	}
	h.kept = append(h.kept, p...)
	return len(p), nil
}
