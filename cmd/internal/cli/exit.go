package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rekey/audit/ledger"
	"rekey/commands"
)

// The exit codes, for scripts. They are part of rekey's interface.
const (
	ExitOK        = 0  // done; for an audit: no sign of misuse, or tried and refused
	ExitInternal  = 1  // rekey itself failed; the text says at what
	ExitUsage     = 2  // the command line was not understood; nothing was started
	ExitConfig    = 3  // the catalogue or the settings have faults; nothing was started
	ExitRefused   = 4  // policy said no, or it cannot be done; nothing was started
	ExitRunFailed = 5  // the run failed or was rolled back; a person must look
	ExitMisused   = 6  // the secret was used by an address that is not ours
	ExitUnsure    = 7  // cannot tell whether it was misused
	ExitBroken    = 8  // the security log, or an evidence bundle, does not verify
	ExitUnknown   = 9  // the database did not say in time whether the request was recorded
	ExitStopped   = 10 // Ctrl-C or SIGTERM before the end; the run goes on with the next rekey
)

// Exit is an exit code and what it says.
type Exit struct {
	Code    int
	Meaning string
}

// Exits is the one table of the exit codes; help and the documents are made from it.
func Exits() []Exit {
	return []Exit{
		{ExitOK, "done; an audit found no use by strangers"},
		{ExitInternal, "rekey itself failed"},
		{ExitUsage, "command line not understood; nothing was started"},
		{ExitConfig, "faults in the configuration; nothing was started"},
		{ExitRefused, "refused; nothing was started"},
		{ExitRunFailed, "the run failed or was rolled back"},
		{ExitMisused, "done; the secret was used by an address that is not ours"},
		{ExitUnsure, "done; cannot tell whether the secret was misused"},
		{ExitBroken, "the security log, or an evidence bundle, does not verify"},
		{ExitUnknown, "not known whether the request was recorded"},
		{ExitStopped, "stopped before the end; the run goes on with the next rekey"},
	}
}

func exitHelp() string {
	var b strings.Builder
	b.WriteString("Exit codes:")
	for _, e := range Exits() {
		fmt.Fprintf(&b, "\n  %2d  %s", e.Code, e.Meaning)
	}
	return b.String()
}

// failure is an error with an exit code and, where there is one, a way out.
type failure struct {
	code int
	text string // "" when everything was said already
	hint string
}

func (f *failure) Error() string { return f.text }

// classify finds the words for an error that has none of its own.
func classify(err error) *failure {
	var usage *commands.UsageError
	switch {
	case errors.As(err, &usage):
		return &failure{code: ExitUsage, text: usage.Problem, hint: usage.Try}
	case errors.Is(err, ledger.ErrBroken):
		return &failure{code: ExitBroken, text: err.Error() + "; nothing was started.", hint: "rekey ledger verify"}
	case errors.Is(err, ledger.ErrNotStarted):
		return &failure{code: ExitInternal, text: "nothing was started: the database did not record the request in time.", hint: "the same command again"}
	case errors.Is(err, ledger.ErrUnknownOutcome):
		return &failure{code: ExitUnknown, text: "the database did not say in time whether the request was recorded.", hint: "rekey runs"}
	case errors.Is(err, context.Canceled):
		return &failure{code: ExitStopped, text: "stopped.", hint: "rekey runs"}
	}
	return &failure{code: ExitInternal, text: sentence(err.Error()) + "."}
}

// sentence puts the text of an error on one line, and says once what libraries say
// for every address they tried.
func sentence(text string) string {
	var parts []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); !slices.Contains(parts, line) {
			parts = append(parts, line)
		}
	}
	return strings.TrimRight(strings.Join(parts, " "), ".")
}
