// Package cli is rekey's command line: the daemon, and everything Slack can ask for
// when Slack is what is down. It goes through the same policy, engine and security
// log; only the words travel another way.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"rekey/audit/ledger"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/config"
)

// Env is what a command line runs in.
type Env struct {
	Out, Err io.Writer
	Getenv   func(string) string
	Version  string
}

// grammar is the whole command line.
type grammar struct {
	Config string `help:"The catalogue." default:"rekey.yaml" env:"REKEY_CONFIG" placeholder:"FILE"`

	Serve       serveCmd  `cmd:"" help:"Take commands from Slack and keep watch."`
	Rotate      rotateCmd `cmd:"" help:"Rotate a secret: compromised (at once) or routine (with overlap)."`
	AuditSecret auditCmd  `cmd:"" name:"audit-secret" help:"Read logs and Sentry for misuse of a secret; changes nothing."`
	Runs        runsCmd   `cmd:"" help:"Show what is under way and what ended lately, or one run."`
	List        listCmd   `cmd:"" help:"List the secrets, their owners and when they are due."`
	Ledger      ledgerCmd `cmd:"" help:"The security log."`
	Check       checkCmd  `cmd:"" help:"Check the catalogue and the settings; connects to nothing."`
	Health      healthCmd `cmd:"" help:"Ask a serving rekey on this host whether it is well."`
	Version     struct{}  `cmd:"" help:"Print the version."`
}

// session is what every command gets.
type session struct {
	Env
	ctx    context.Context //nolint:containedctx // kong calls Run methods; this is their one argument
	config string
}

// Main runs a command line and answers its exit code.
func Main(ctx context.Context, args []string, env Env) int {
	var g grammar
	parser, err := kong.New(&g,
		kong.Name("rekey"),
		kong.Description("Rotates a leaked secret without downtime, says whether it was misused, and tells people.\n\n"+exitHelp()),
		kong.Writers(env.Out, env.Err),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { panic(exit(code)) }),
	)
	if err != nil {
		fmt.Fprintln(env.Err, "rekey:", err)
		return ExitInternal
	}
	return run(ctx, parser, &g, args, env)
}

// exit is how kong ends after printing help.
type exit int

func run(ctx context.Context, parser *kong.Kong, g *grammar, args []string, env Env) (code int) {
	defer func() {
		if v := recover(); v != nil {
			e, ok := v.(exit)
			if !ok {
				panic(v)
			}
			code = int(e)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(env.Err, "rekey: %v\nTry: rekey --help\n", err)
		return ExitUsage
	}
	if k.Command() == "version" {
		fmt.Fprintln(env.Out, "rekey", env.Version)
		return ExitOK
	}
	s := &session{Env: env, ctx: ctx, config: g.Config}
	return s.report(k.Run(s))
}

// report prints an error the way a person needs it and answers its exit code.
func (s *session) report(err error) int {
	if err == nil {
		return ExitOK
	}
	var f *failure
	if !errors.As(err, &f) {
		f = classify(err)
	}
	if f.text != "" {
		fmt.Fprintln(s.Err, "rekey:", f.text)
	}
	if f.hint != "" {
		fmt.Fprintln(s.Err, "Try:", f.hint)
	}
	return f.code
}

// load reads the catalogue and the settings; every fault of both is told at once.
func (s *session) load() (*config.Config, config.Settings, error) {
	cfg, errFile := config.Load(s.config)
	settings, errEnv := config.FromEnvironment(s.Getenv)
	if err := errors.Join(errFile, errEnv); err != nil {
		return nil, settings, &failure{code: ExitConfig, text: strings.TrimSpace("the configuration has faults:\n" + err.Error())}
	}
	return cfg, settings, nil
}

// reader opens an App that records and reads but carries nothing on: it never takes
// the database from a rekey that serves.
func (s *session) reader() (*app.App, error) {
	cfg, settings, err := s.load()
	if err != nil {
		return nil, err
	}
	return app.Open(s.ctx, s.appConfig(cfg, settings, slog.LevelError), false)
}

// worker opens an App that carries runs on, or, where a serving rekey holds the
// database already, one that hands over to it.
func (s *session) worker() (a *app.App, working bool, err error) {
	cfg, settings, err := s.load()
	if err != nil {
		return nil, false, err
	}
	c := s.appConfig(cfg, settings, slog.LevelError)
	a, err = app.Open(s.ctx, c, true)
	if errors.Is(err, ledger.ErrLocked) {
		a, err = app.Open(s.ctx, c, false)
		return a, false, err
	}
	return a, err == nil, err
}

func (s *session) appConfig(cfg *config.Config, settings config.Settings, level slog.Level) app.Config {
	return app.Config{Catalogue: cfg.Catalogue, Settings: settings, Log: logHandler(s.Err, level), Version: s.Version}
}

// logHandler writes JSON lines for machines and text for terminals.
func logHandler(w io.Writer, level slog.Level) slog.Handler {
	opts := &slog.HandlerOptions{Level: level}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return slog.NewTextHandler(w, opts)
		}
	}
	return slog.NewJSONHandler(w, opts)
}
