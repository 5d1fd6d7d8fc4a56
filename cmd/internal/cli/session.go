package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/config"
)

// session is what every command gets.
type session struct {
	Env
	ctx    context.Context //nolint:containedctx // kong calls Run methods; this is their one argument
	config string
	// result prints an ended run to whom asked for neither text nor the run as JSON.
	result func(render.Scene) error
}

// say prints for a person: in terminal words, 80 columns wide.
func (s *session) say(text string) { fmt.Fprint(s.Out, wrap(words(text))) }

// complain prints a problem for a person. A list of faults is left one a line, as
// compilers have them.
func (s *session) complain(text string) {
	first, rest, _ := strings.Cut(words(text)+"\n", "\n")
	fmt.Fprint(s.Err, wrap("rekey: "+first+"\n")+rest)
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
		s.complain(f.text)
	}
	if f.hint != "" {
		fmt.Fprint(s.Err, wrap("Try: "+words(f.hint)+"\n"))
	}
	return f.code
}

// load reads the catalogue and the settings; every fault of both is told at once.
func (s *session) load() (*config.Config, config.Settings, error) {
	cfg, errFile := config.Load(s.config)
	if errors.Is(errFile, fs.ErrNotExist) {
		errFile = fmt.Errorf("%s: there is no such file: write the catalogue there, or name it with --config or REKEY_CONFIG", s.config)
	}
	settings, errEnv := config.FromEnvironment(s.Getenv)
	if err := errors.Join(errFile, errEnv); err != nil {
		return nil, settings, faulty(err)
	}
	return cfg, settings, nil
}

// settings reads the settings alone, for what must work without a catalogue.
func (s *session) settings() (config.Settings, error) {
	settings, err := config.FromEnvironment(s.Getenv)
	if err != nil {
		return settings, faulty(err)
	}
	return settings, nil
}

func faulty(err error) error {
	return &failure{code: ExitConfig, text: "the configuration has faults; nothing was started.\n" + err.Error()}
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
func (s *session) worker() (*app.App, error) {
	cfg, settings, err := s.load()
	if err != nil {
		return nil, err
	}
	c := s.appConfig(cfg, settings, slog.LevelError)
	a, err := app.Open(s.ctx, c, true)
	if errors.Is(err, ledger.ErrLocked) {
		return app.Open(s.ctx, c, false)
	}
	return a, err
}

// ledger opens the security log alone. It never makes one: an empty log in the wrong
// place would verify.
func (s *session) ledger() (ledger.Store, error) {
	settings, err := s.settings()
	if err != nil {
		return nil, err
	}
	if path := settings.SQLitePath(); path != "" {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, &failure{
				code: ExitConfig, text: "there is no security log at " + path + ".",
				hint: "setting REKEY_STATE_DIR or REKEY_DATABASE_URL as the rekey that writes it has them",
			}
		}
	}
	return app.OpenLedger(s.ctx, settings)
}

func (s *session) appConfig(cfg *config.Config, settings config.Settings, level slog.Level) app.Config {
	return app.Config{Catalogue: cfg.Catalogue, Settings: settings, Log: logHandler(s.Err, level), Version: s.Version, Readers: s.Readers}
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
