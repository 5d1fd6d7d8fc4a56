package reload_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rekey/commands/reload"
)

func TestInputArrivesAndTheAnswerIsWhole(t *testing.T) {
	t.Setenv("SLACK_BOT_TOKEN", "xoxb-canary")
	in := strings.Repeat("line\n", 10_000)
	said, err := reload.RunInput(t.Context(), []string{"cat"}, 0, []byte(in))
	if err != nil || string(said.Stdout) != in || said.Stderr != "" {
		t.Errorf("%d bytes came back of %d, %q, %v", len(said.Stdout), len(in), said.Stderr, err)
	}
	said, err = reload.RunInput(t.Context(), []string{"env"}, 0, nil)
	if err != nil || strings.Contains(string(said.Stdout), "canary") || !strings.Contains(string(said.Stdout), "PATH=") {
		t.Errorf("the command's environment is not the short list it should be (%v)", err)
	}
}

func TestInputThatNobodyReads(t *testing.T) {
	t.Parallel()
	in := []byte(strings.Repeat("x", 1<<20)) // more than a pipe holds
	said, err := reload.RunInput(t.Context(), self(t, "exit"), 0, in)
	var failed *reload.Error
	if !errors.As(err, &failed) || failed.Code != 3 || !strings.Contains(said.Stderr, "no such service") {
		t.Errorf("got %v and %q, want an exit with 3 and what it said", err, said.Stderr)
	}
	if _, err := reload.RunInput(t.Context(), []string{"true"}, 0, in); err != nil {
		t.Errorf("a command that does not care for its input: %v", err)
	}
}

func TestAnAnswerHasItsBounds(t *testing.T) {
	t.Parallel()
	said, err := reload.RunInput(t.Context(), []string{"cat"}, 0, []byte(strings.Repeat("x", 70_000)))
	if !errors.Is(err, reload.ErrTooMuch) || len(said.Stdout) != 64<<10 {
		t.Errorf("%d bytes, %v; want %v", len(said.Stdout), err, reload.ErrTooMuch)
	}
	if _, err := reload.RunInput(t.Context(), nil, 0, nil); err == nil {
		t.Error("no command was run without complaint")
	}
}

func TestInputDoesNotOutliveItsTime(t *testing.T) {
	t.Parallel()
	_, err := reload.RunInput(t.Context(), self(t, "hang", filepath.Join(t.TempDir(), "pid")), 300*time.Millisecond, []byte("x"))
	var failed *reload.Error
	if !errors.As(err, &failed) || failed.TimedOut != 300*time.Millisecond {
		t.Errorf("got %v, want its time to be up", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	pid := filepath.Join(t.TempDir(), "pid")
	done := make(chan error, 1)
	go func() {
		_, err := reload.RunInput(ctx, self(t, "hang", pid), time.Minute, nil)
		done <- err
	}()
	eventually(t, func() bool {
		b, err := os.ReadFile(pid)
		return err == nil && len(b) > 0
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
