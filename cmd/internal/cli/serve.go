package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"rekey/audit/ledger"
	"rekey/cmd/internal/app"
)

type serveCmd struct{}

// Run serves until the process is told to stop.
func (c *serveCmd) Run(s *session) error {
	cfg, settings, err := s.load()
	if err != nil {
		return err
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
	cfg, _, err := s.load()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "%s holds: %d secrets in %d environments.\n", s.config, len(cfg.Catalogue.Secrets), len(cfg.Catalogue.Environments))
	return nil
}

type healthCmd struct{}

// Run asks the health address of the settings.
func (c *healthCmd) Run(s *session) error {
	_, settings, err := s.load()
	if err != nil {
		return err
	}
	if settings.HealthAddress == "" {
		return &failure{code: ExitConfig, text: "no health address is set; set REKEY_HEALTH_ADDR, for example to 127.0.0.1:7350."}
	}
	client := &http.Client{Timeout: 3 * time.Second}
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "http://"+settings.HealthAddress+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return &failure{code: ExitInternal, text: "no rekey answers on " + settings.HealthAddress + "."}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if err != nil || resp.StatusCode != http.StatusOK {
		return &failure{code: ExitInternal, text: fmt.Sprintf("rekey is not well: %s", body)}
	}
	fmt.Fprint(s.Out, string(body))
	return nil
}
