package checklist

import (
	"context"
	"errors"
	"strings"

	"rekey/commands/reload"
	"rekey/commands/secret"
)

// command runs a command of the owner's; exit 0 passes. It gets no value.
func (c *Checklist) command(ctx context.Context, k secret.Check) finding {
	said, f, ok := c.run(ctx, k)
	if !ok {
		return f
	}
	if line := lastLine(string(said.Stdout)); line != "" {
		return passed("it said %q", line)
	}
	return passed("it exited with 0")
}

// task runs a command that sends a task through the broker and waits for its result. It
// must print "ok" on a line of its own: a command that only queues a task exits with 0
// as well.
func (c *Checklist) task(ctx context.Context, k secret.Check) finding {
	said, f, ok := c.run(ctx, k)
	if !ok {
		return f
	}
	for line := range strings.Lines(string(said.Stdout)) {
		if strings.TrimSpace(line) == "ok" {
			return passed("a task went through the broker and back")
		}
	}
	return failed(`the command did not print "ok", so no task is known to have been executed`)
}

// run runs the check's command. ok reports that it exited with 0; else the finding says
// what it did.
func (c *Checklist) run(ctx context.Context, k secret.Check) (said reload.Said, f finding, ok bool) {
	if len(k.Argv) == 0 {
		return said, settled("the catalogue names no command"), false
	}
	said, err := reload.RunInput(ctx, k.Argv, k.Timeout, nil)
	// A scrubber that sees a whole value must come before anything is cut.
	said.Stdout = []byte(c.deps.Guard.ScrubString(string(said.Stdout)))
	said.Stderr = c.deps.Guard.ScrubString(said.Stderr)
	var failure *reload.Error
	switch {
	case err == nil:
		return said, f, true
	case errors.As(err, &failure) && failure.Err != nil:
		return said, unknown("%v", err), false
	case !errors.As(err, &failure) && !errors.Is(err, reload.ErrTooMuch):
		return said, unknown("the check was stopped"), false
	}
	line := lastLine(said.Stderr)
	if line == "" {
		line = lastLine(string(said.Stdout))
	}
	if line == "" {
		return said, failed("%v", err), false
	}
	return said, failed("%v; it said %q", err, line), false
}

// lineRunes is how much of a line is shown.
const lineRunes = 200

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	line := []rune(strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:]))
	if len(line) > lineRunes {
		line = append(line[:lineRunes-1], '…')
	}
	return string(line)
}
