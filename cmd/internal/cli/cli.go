// Package cli is rekey's command line: the daemon, and everything Slack can ask for
// when Slack is what is down. It goes through the same parser, policy, engine and
// security log; only the words travel another way.
//
// Results go to standard output, problems to standard error, one sentence each with
// what to do about it. The exit code says how it went; see the table in exit.go.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// Env is what a command line runs in.
type Env struct {
	Out, Err io.Writer
	Getenv   func(string) string
	Version  string
	// Readers bounds the cores used for reading logs; 0 means all.
	Readers int
}

// grammar is the whole command line.
type grammar struct {
	Config string `help:"The catalogue, rekey.yaml by default." default:"rekey.yaml" env:"REKEY_CONFIG" placeholder:"FILE"`

	Rotate      rotateCmd   `cmd:"" help:"Rotate a secret: compromised (at once) or routine (with an overlap)."`
	AuditSecret auditCmd    `cmd:"" name:"audit-secret" help:"Read logs and Sentry for misuse of a secret; changes nothing."`
	Rollback    rollbackCmd `cmd:"" help:"Take a run back to the old value, while that can be had."`
	Kill        killCmd     `cmd:"" help:"End the old value now, of a compromised rotation that asks because somebody of ours still uses it."`
	Hold        holdCmd     `cmd:"" help:"Let that old value live for 10 more minutes, three times at most."`
	Bundle      bundleCmd   `cmd:"" help:"Verify an evidence bundle that audit-secret --bundle wrote."`
	Schedule    scheduleCmd `cmd:"" help:"Show what is overdue and what falls due when; --ics for a calendar."`
	Digest      digestCmd   `cmd:"" help:"Show what the daily message about due secrets would say now."`
	Runs        runsCmd     `cmd:"" help:"Show what is under way and what ended lately, or one run."`
	Resume      resumeCmd   `cmd:"" help:"Carry on what was interrupted, or whose overlap has ended."`
	Provide     provideCmd  `cmd:"" help:"Bring a run the new value that only a person can get, such as a mail provider's password."`
	List        listCmd     `cmd:"" help:"List the secrets, their owners and when they are due."`
	Ledger      ledgerCmd   `cmd:"" help:"Verify, export or anchor the security log."`
	Serve       serveCmd    `cmd:"" help:"Take commands from Slack and keep watch."`
	Check       checkCmd    `cmd:"" help:"Check the catalogue and the settings; connects to nothing."`
	Health      healthCmd   `cmd:"" help:"Ask the rekey that serves on this host whether it is well."`
	Version     versionCmd  `cmd:"" help:"Print the version."`

	AWSRotationStep awsRotationCmd `cmd:"" name:"aws-rotation-step" help:"Serve as the function that AWS Secrets Manager's own schedule calls: one step, its event on standard input, or on AWS Lambda."`
}

const description = `Rotates a leaked secret without downtime, says whether it was misused, and tells people.

When a secret has leaked:
  rekey rotate REVALIDATE_SECRET compromised found in a CI log`

// Main runs a command line and answers its exit code.
func Main(ctx context.Context, args []string, env Env) int {
	s := &session{Env: env, ctx: ctx}
	out := &output{Writer: env.Out}
	s.Out = out
	code := s.run(args)
	// A reader that went away is content; a full disk has lost a result.
	if out.err != nil && code == ExitOK && !errors.Is(out.err, syscall.EPIPE) && !errors.Is(out.err, syscall.EIO) {
		return s.report(fmt.Errorf("writing the output: %w", out.err))
	}
	return code
}

// output remembers the first write that failed.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

func (s *session) run(args []string) int {
	args, code := spell(args)
	if code != ExitOK {
		s.Out = s.Err // nothing was asked, so this is not a result
	}
	var g grammar
	ended := false
	parser, err := kong.New(&g,
		kong.Name("rekey"),
		kong.Description(description+"\n\n"+exitHelp()),
		kong.Writers(s.Out, s.Err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: columns}),
		kong.Exit(func(int) { ended = true }),
	)
	if err != nil {
		return s.report(fmt.Errorf("reading the command line: %w", err))
	}
	k, err := parser.Parse(args)
	switch {
	case ended: // help was printed; what kong makes of the rest does not matter
		return code
	case err != nil:
		return s.report(misspelt(err, args))
	}
	s.config = g.Config
	return s.report(k.Run(s))
}

// spell turns what people type everywhere into what kong knows. The code is ExitUsage
// where nothing was typed at all: a script with an empty variable must notice.
func spell(args []string) (spelt []string, code int) {
	switch {
	case len(args) == 0:
		return []string{"--help"}, ExitUsage
	case args[0] == "help":
		return append(args[1:len(args):len(args)], "--help"), ExitOK
	case args[0] == "--version" || args[0] == "-v":
		return append([]string{"version"}, args[1:]...), ExitOK
	}
	return args, ExitOK
}

// longestEcho is how much of a typed word is repeated to its writer, in bytes: people
// paste values, and terminals and CI systems keep what is printed.
const longestEcho = 31

// misspelt is a command line that kong does not understand.
func misspelt(err error, args []string) error {
	text, hint := err.Error(), "rekey --help"
	for _, a := range args {
		if len(a) > longestEcho {
			text = strings.ReplaceAll(text, a, "that long word")
		}
	}
	if strings.HasPrefix(text, "expected ") {
		text = "the command is not complete: " + text
	}
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context.Selected() != nil {
		if p.Context.Selected().Name == "provide" && mayBeTyped(err) {
			return typedValue()
		}
		hint = p.Context.Selected().FullPath() + " --help"
	}
	return &failure{code: ExitUsage, text: text + ".", hint: hint}
}

type versionCmd struct{}

// Run prints the version, and what a bug report needs beside it.
func (c *versionCmd) Run(s *session) error {
	_, err := fmt.Fprintf(s.Out, "rekey %s (%s, %s/%s)\n", s.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
