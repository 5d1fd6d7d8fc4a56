package cli

import (
	"fmt"
	"strings"
	"time"

	"rekey/audit"
	"rekey/bot/render"
	"rekey/bot/render/chart"
	"rekey/commands"
)

type auditCmd struct {
	Secret string   `arg:"" help:"The secret's name."`
	When   []string `arg:"" optional:"" help:"\"since\" and how far back, as for --since."`
	Since  string   `help:"How far back: 24h, 3d, 2026-11-20, 2026-11-20T10:00Z; 24h by default." placeholder:"WHEN"`
	Until  string   `help:"Where the window ends, as for --since; now by default." placeholder:"WHEN"`
	Env    string   `help:"The environment; the catalogue's first by default." placeholder:"NAME"`
	Format string   `help:"Print the report as text, json, markdown or csv (the findings)." enum:"text,json,markdown,csv" default:"text" placeholder:"FORMAT"`
	JSON   bool     `name:"json" help:"Print the ended run and its report as JSON."`
	Chart  string   `help:"Write the report's timeline as a PNG to this file." placeholder:"FILE.png"`
	Bundle string   `help:"Write the evidence as one zip file: the report, the lines behind it, the security log's entries, and their hashes." placeholder:"FILE.zip"`
	Force  bool     `help:"Replace the files of --chart and --bundle when they exist."`
}

// Run audits a secret.
func (c *auditCmd) Run(s *session) error {
	if c.JSON && c.Format != "text" {
		return &failure{code: ExitUsage, text: "--json prints the run and --format its report; ask for one of them.", hint: "rekey audit-secret " + c.Secret + " --format json"}
	}
	req, err := c.request(time.Now())
	if err != nil {
		return err
	}
	for _, file := range []string{c.Chart, c.Bundle} {
		if err := free(file, c.Force); err != nil {
			return err
		}
	}
	a, err := s.worker()
	if err != nil {
		return unstarted(err)
	}
	defer a.Close()
	answer, err := s.take(a, req)
	if err != nil {
		return err
	}
	quiet := c.JSON || c.Format != "text"
	if !quiet {
		s.say(answer.Text + "\n")
	}
	s.result = c.print(s)
	verdict := s.follow(a, answer.Run, quiet)
	scene, err := a.Scene(s.ctx, answer.Run)
	if err != nil || scene.Report == nil || !scene.Run.State.Final() {
		return verdict // there is nothing to write
	}
	if c.Chart != "" {
		picture, err := chart.PNG(*scene.Report)
		if err == nil {
			err = save(c.Chart, picture, c.Force)
		}
		if err != nil {
			return fmt.Errorf("writing the chart: %w", err)
		}
	}
	if c.Bundle != "" {
		if err := s.bundle(a, scene, c.Bundle, c.Force, quiet); err != nil {
			return err
		}
	}
	return verdict
}

// print answers what prints the ended run; nil for JSON of the run and for text.
func (c *auditCmd) print(s *session) func(render.Scene) error {
	of := func(encode func(audit.Report) error) func(render.Scene) error {
		return func(scene render.Scene) error {
			if scene.Report == nil {
				return &failure{code: ExitRunFailed, text: "run " + scene.Run.ID + " ended without a report.", hint: "rekey runs " + scene.Run.ID}
			}
			return encode(*scene.Report)
		}
	}
	switch c.Format {
	case "json":
		return of(func(r audit.Report) error { return writeJSON(s.Out, r) })
	case "markdown":
		return of(func(r audit.Report) error { return s.write([]byte(render.ReportMarkdown(r))) })
	case "csv":
		return of(func(r audit.Report) error { return s.write(render.FindingsCSV(r)) })
	}
	return nil
}

func (s *session) write(b []byte) error {
	_, err := s.Out.Write(b)
	return err //nolint:wrapcheck // its text names what was written to
}

// request reads the command. A window with an end is exact, so that whoever names the same
// one again is shown the same.
func (c *auditCmd) request(now time.Time) (commands.Request, error) {
	when := c.When
	if c.Since != "" {
		when = append(when, "since", c.Since)
	}
	req, err := parse("/audit-secret", c.Env, c.Secret, when)
	if err != nil || c.Until == "" {
		return req, err
	}
	if req.Until, err = moment(c.Until, now); err != nil {
		return req, err
	}
	since := c.Since
	if since == "" {
		since = strings.TrimPrefix(strings.Join(c.When, " "), "since ")
	}
	if since == "" {
		req.From = req.Until.Add(-24 * time.Hour)
	} else if req.From, err = moment(since, now); err != nil {
		return req, err
	}
	if !req.From.Before(req.Until) {
		return req, &failure{code: ExitUsage, text: "the window ends before it begins: --since must be earlier than --until.", hint: "rekey audit-secret " + c.Secret + " --since 3d --until 1d"}
	}
	return req, nil
}

// moment is a point of time; spans count back from now.
func moment(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339Nano, strings.ToUpper(strings.TrimSpace(text))); err == nil && at.Before(now) {
		return at.UTC(), nil
	}
	ago, err := commands.ParseSince(text, now)
	return now.Add(-ago).UTC(), err
}
