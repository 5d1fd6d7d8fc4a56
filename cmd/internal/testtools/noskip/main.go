// Command noskip runs "go test -json" with the arguments it is given and holds
// the result to a stricter rule than go test does: a skipped test is a failed
// one. A test that quietly skips itself where a tool is missing proves nothing
// on the one machine that matters, and go test without -v does not even show it.
//
//	go run ./cmd/internal/testtools/noskip -race -timeout 15m ./...
//
// Standard output has one line for each package, everything a failed or skipped
// test printed, and a last line "N passed, N failed". The exit status is 0 only
// when every package built and every test ran and passed, and at least one did.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	ok, err := run(context.Background(), "", os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "noskip:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// run starts go test in dir and reports whether all was well.
func run(ctx context.Context, dir string, args []string, stdout, stderr io.Writer) (bool, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = dir
	cmd.Stderr = stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return false, fmt.Errorf("opening a pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("starting go test: %w", err)
	}
	t := newTally(stdout)
	readErr := t.read(events)
	if readErr != nil {
		// go test would otherwise block on a pipe that nobody reads.
		_, _ = io.Copy(io.Discard, events)
	}
	waitErr := cmd.Wait()
	if readErr != nil {
		return false, fmt.Errorf("reading go test's events: %w", readErr)
	}
	return t.close(waitErr), nil
}
