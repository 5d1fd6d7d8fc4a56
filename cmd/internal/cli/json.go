package cli

import (
	"encoding/json"
	"io"
	"time"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/render"
	"rekey/commands"
)

// runJSON is a run as machines get it.
type runJSON struct {
	Run    ledger.Run    `json:"run"`
	Steps  []ledger.Step `json:"steps"`
	Report *audit.Report `json:"report,omitempty"`
	// Members are the runs of a batch in the order of their turns, Others the secrets of
	// the group that it does not rotate itself.
	Members []runJSON        `json:"members,omitempty"`
	Others  []commands.Other `json:"others,omitempty"`
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
	Secret string   `json:"secret,omitempty"` // where the plan is for several
	Step   string   `json:"step"`
	Would  []string `json:"would"`
}

func planJSON(rows []commands.PlanRow) []stepJSON {
	out := make([]stepJSON, 0, len(rows)) // [] and not null
	for _, r := range rows {
		out = append(out, stepJSON{Secret: r.Secret, Step: r.Title, Would: append([]string{}, r.Would...)})
	}
	return out
}

// sceneJSON is a run with its steps, its report and, of a batch, its members.
func sceneJSON(s render.Scene) runJSON {
	out := runJSON{Run: s.Run, Steps: append([]ledger.Step{}, s.Steps...), Report: s.Report, Others: s.Others}
	for _, m := range s.Members {
		out.Members = append(out.Members, sceneJSON(m))
	}
	return out
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
