package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/config"
)

type serveCmd struct{}

// Run serves until the process is told to stop.
func (c *serveCmd) Run(s *session) error {
	cfg, settings, err := s.load()
	if err != nil {
		return err
	}
	if !settings.Slack() {
		return &failure{
			code: ExitConfig, text: "serving needs Slack: set SLACK_APP_TOKEN (xapp-…) and SLACK_BOT_TOKEN (xoxb-…), or SLACK_APP_TOKEN_FILE and SLACK_BOT_TOKEN_FILE.",
			hint: "rekey rotate, rekey audit-secret and rekey resume work without Slack",
		}
	}
	a, err := app.Open(s.ctx, s.appConfig(cfg, settings, settings.LogLevel), true)
	if errors.Is(err, ledger.ErrLocked) {
		return &failure{code: ExitInternal, text: err.Error() + ".", hint: "stopping that process, or PostgreSQL, on which several can serve"}
	}
	if err != nil {
		return err
	}
	defer a.Close()
	return a.Serve(s.ctx)
}

type checkCmd struct{}

// Run loads the configuration and says what it holds.
func (c *checkCmd) Run(s *session) error {
	cfg, settings, err := s.load()
	if err != nil {
		return err
	}
	cat := cfg.Catalogue
	var b strings.Builder
	fmt.Fprintf(&b, "%s is well: %s in %s.\n", s.config, audit.Count(len(cat.Secrets), "secret"), audit.Count(len(cat.Environments), "environment"))
	for _, line := range readiness(settings, cat.PagerDuty.Enabled) {
		fmt.Fprintf(&b, "  %-10s %s\n", line[0], line[1])
	}
	s.say(b.String())
	return nil
}

// readiness says what the settings are enough for.
func readiness(s config.Settings, pages bool) [][2]string {
	database := "SQLite, " + s.SQLitePath()
	if s.Postgres() {
		database = "PostgreSQL"
	}
	slack, pager, sentry := "both tokens are set", "the routing key is set", "the token is set"
	if !s.Slack() {
		slack = "no tokens: rekey cannot serve, and nobody is told"
	}
	switch {
	case !pages:
		pager = "turned off in the catalogue"
	case s.PagerDutyRoutingKey.IsZero():
		pager = "no routing key: nobody is paged"
	}
	if s.SentryAuthToken.IsZero() {
		sentry = "no token: its issues are missing from the evidence"
	}
	return [][2]string{{"database", database}, {"Slack", slack}, {"PagerDuty", pager}, {"Sentry", sentry}}
}

type healthCmd struct{}

// Run asks the health address of the settings. It reads no catalogue: a fault in the
// file does not make the rekey that serves unwell.
func (c *healthCmd) Run(s *session) error {
	settings, err := s.settings()
	if err != nil {
		return err
	}
	if settings.HealthAddress == "" {
		return &failure{code: ExitConfig, text: "the health address is off.", hint: "REKEY_HEALTH_ADDR=127.0.0.1:7350, for both processes"}
	}
	client := &http.Client{Timeout: 3 * time.Second}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "http://"+settings.HealthAddress+"/healthz", http.NoBody)
	if err != nil {
		return fmt.Errorf("asking %s: %w", settings.HealthAddress, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return &failure{code: ExitInternal, text: "no rekey answers on " + settings.HealthAddress + "."}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if err != nil || resp.StatusCode != http.StatusOK {
		return &failure{code: ExitInternal, text: fmt.Sprintf("rekey is not well: %s.", strings.TrimSpace(string(body)))}
	}
	_, err = s.Out.Write(body)
	return err
}
