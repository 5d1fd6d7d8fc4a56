// Package rehearsal builds the world around an App: a Slack workspace, PagerDuty,
// Sentry and an estate of two real processes, all on this machine. The drill and
// the end-to-end tests are played in it. Nothing in here is part of the production
// program, and nothing of the App is replaced: it reads a rekey.yaml and an
// environment, as it always does.
package rehearsal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rekey/audit/audittest"
	"rekey/bot/bottest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/config"
	"rekey/commands/estatetest"
)

// Config says what kind of world to build.
type Config struct {
	// Dir is where everything is kept. Required.
	Dir string
	// DatabaseURL is a PostgreSQL database; "" means SQLite in Dir.
	DatabaseURL string
	// Listen is where Slack listens; "" means a free port on loopback.
	Listen string
	// Usage lets the App see who still uses an old value.
	Usage bool
	// Estate configures the two services; Dir in it is ignored.
	Estate estatetest.Config
}

// World is everything an App talks to.
type World struct {
	Slack     *bottest.Slack
	PagerDuty *bottest.PagerDuty
	Sentry    *audittest.Sentry
	Estate    *estatetest.Estate
	Alerts    *bottest.Channel // #devops-alerts
	Alice     *bottest.User    // on call: may rotate
	Bob       *bottest.User    // may look
	Mallory   *bottest.User    // may nothing

	cfg     Config
	environ map[string]string
}

// Build starts a world. Close ends it.
func Build(ctx context.Context, cfg Config) (_ *World, err error) {
	w := &World{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.Slack, err = bottest.StartSlack(bottest.SlackConfig{Listen: cfg.Listen, Interactive: true}); err != nil {
		return nil, err
	}
	w.Alerts = w.Slack.Channel("devops-alerts")
	w.Alice = w.Slack.User("U0ALICE", "alice")
	w.Bob = w.Slack.User("U0BOB", "bob")
	w.Mallory = w.Slack.User("U0MALLORY", "mallory")
	if w.PagerDuty, err = bottest.StartPagerDuty(bottest.PagerDutyConfig{}); err != nil {
		return nil, err
	}
	if w.Sentry, err = audittest.StartSentry(); err != nil {
		return nil, err
	}
	cfg.Estate.Dir = filepath.Join(cfg.Dir, "estate")
	if w.Estate, err = estatetest.Start(ctx, cfg.Estate); err != nil {
		return nil, err
	}
	if err := w.write(); err != nil {
		return nil, err
	}
	return w, nil
}

// write puts the catalogue and the key where the App will look for them.
func (w *World) write() error {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	me, err := user.Current()
	if err != nil {
		return fmt.Errorf("finding out who you are: %w", err)
	}
	catalogue := w.Estate.Catalogue(estatetest.Extra{
		Top: fmt.Sprintf(`slack: {channel: %s}
pagerduty: {enabled: true, source: leather-api}
access:
  responders: [%s]
  readers: [%s]
  cli: [%q]
contacts:
  - {name: DevOps, slack: "#devops-alerts", email: devops@example.com}
`, w.Alerts.ID, w.Alice.ID, w.Bob.ID, me.Username),
		Usage: w.cfg.Usage, SentryURL: w.Sentry.URL(), SentryOrganization: w.Sentry.Org, SentryProject: w.Sentry.Project,
	})
	if err := os.WriteFile(w.CataloguePath(), []byte(catalogue), 0o600); err != nil {
		return fmt.Errorf("writing the catalogue: %w", err)
	}
	w.environ = map[string]string{
		"REKEY_CONFIG":          w.CataloguePath(),
		"REKEY_STATE_DIR":       filepath.Join(w.cfg.Dir, "state"),
		"REKEY_KEY":             hex.EncodeToString(key),
		"REKEY_HEALTH_ADDR":     "off",
		"SLACK_APP_TOKEN":       w.Slack.AppToken(),
		"SLACK_BOT_TOKEN":       w.Slack.BotToken(),
		"SLACK_API_URL":         w.Slack.APIURL(),
		"PAGERDUTY_ROUTING_KEY": w.PagerDuty.RoutingKey(),
		"PAGERDUTY_EVENTS_URL":  w.PagerDuty.URL(),
		"SENTRY_AUTH_TOKEN":     w.Sentry.Token(),
		"REKEY_SENTRY_DSN":      w.Sentry.DSN(),
	}
	if w.cfg.DatabaseURL != "" {
		w.environ["REKEY_DATABASE_URL"] = w.cfg.DatabaseURL
	}
	return nil
}

// CataloguePath is where the world's rekey.yaml is.
func (w *World) CataloguePath() string { return filepath.Join(w.cfg.Dir, "rekey.yaml") }

// DatabasePath is where the SQLite database is.
func (w *World) DatabasePath() string { return filepath.Join(w.cfg.Dir, "state", "rekey.db") }

// Getenv answers the environment of a rekey that lives in this world.
func (w *World) Getenv(name string) string { return w.environ[name] }

// Environ is the same as a list, for a child process; rekey's own variables of this
// process are left out.
func (w *World) Environ() []string {
	out := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "REKEY_") || strings.HasPrefix(kv, "SLACK_") || strings.HasPrefix(kv, "SENTRY_") || strings.HasPrefix(kv, "PAGERDUTY_")
	})
	for _, name := range slices.Sorted(maps.Keys(w.environ)) {
		out = append(out, name+"="+w.environ[name])
	}
	return out
}

// AppConfig reads the catalogue and the environment as the program does.
func AppConfig(getenv func(string) string, log slog.Handler) (app.Config, error) {
	cfg, err := config.Load(getenv("REKEY_CONFIG"))
	if err != nil {
		return app.Config{}, err
	}
	settings, err := config.FromEnvironment(getenv)
	if err != nil {
		return app.Config{}, err
	}
	return app.Config{Catalogue: cfg.Catalogue, Settings: settings, Log: log, Version: "rehearsal", Within: 20 * time.Second}, nil
}

// Close ends the world.
func (w *World) Close() error {
	var errs []error
	if w.Estate != nil {
		errs = append(errs, w.Estate.Stop())
	}
	if w.Sentry != nil {
		errs = append(errs, w.Sentry.Close())
	}
	if w.PagerDuty != nil {
		errs = append(errs, w.PagerDuty.Close())
	}
	if w.Slack != nil {
		errs = append(errs, w.Slack.Close())
	}
	return errors.Join(errs...)
}
