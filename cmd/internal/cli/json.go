package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/cmd/internal/app"
	"rekey/commands"
)

// runJSON is a run as machines get it.
type runJSON struct {
	Run    ledger.Run    `json:"run"`
	Steps  []ledger.Step `json:"steps"`
	Report *audit.Report `json:"report,omitempty"`
}

// secretJSON is a secret in one environment as machines get it.
type secretJSON struct {
	Name        string    `json:"name"`
	Environment string    `json:"environment"`
	Purpose     string    `json:"purpose,omitempty"`
	Owner       string    `json:"owner,omitempty"`
	Risk        string    `json:"risk,omitempty"`
	Procedure   string    `json:"procedure"`
	LastRotated time.Time `json:"last_rotated,omitzero"` // left out when unknown
	NextDue     time.Time `json:"next_due,omitzero"`     // left out when it is rotated as needed
	ActiveRun   string    `json:"active_run,omitempty"`
}

func secretsJSON(rows []commands.SecretRow) []secretJSON {
	out := make([]secretJSON, 0, len(rows)) // [] and not null
	for _, r := range rows {
		out = append(out, secretJSON{
			Name: r.Name, Environment: r.Environment, Purpose: r.Purpose, Owner: r.Owner, Risk: r.Risk,
			Procedure: r.Procedure, LastRotated: r.LastRotated, NextDue: r.NextDue, ActiveRun: r.Active,
		})
	}
	return out
}

type stepJSON struct {
	Step  string   `json:"step"`
	Would []string `json:"would"`
}

func planJSON(rows []commands.PlanRow) []stepJSON {
	out := make([]stepJSON, 0, len(rows)) // [] and not null
	for _, r := range rows {
		out = append(out, stepJSON{Step: r.Title, Would: append([]string{}, r.Would...)})
	}
	return out
}

// look reads a run with its steps and its report.
func look(ctx context.Context, a *app.App, id string) (ledger.Run, []ledger.Step, *audit.Report, error) {
	run, steps, err := a.Look(ctx, id)
	if err != nil {
		return run, nil, nil, err
	}
	if len(run.Report) == 0 {
		return run, steps, nil, nil
	}
	report := new(audit.Report)
	if err := json.Unmarshal(run.Report, report); err != nil {
		return run, steps, nil, fmt.Errorf("reading the report of run %s: %w", id, err)
	}
	return run, steps, report, nil
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
