package cli

import (
	"errors"
	"strings"

	"rekey/audit/ledger"
	"rekey/commands"
)

type rollbackCmd struct {
	ID   string   `arg:"" name:"run" help:"The run's number."`
	Why  []string `arg:"" optional:"" help:"The reason, in your words; never a value."`
	JSON bool     `name:"json" help:"Print the ended run as JSON."`
}

// Run takes a run back to the old value and follows it to its end. Ending on the old
// value is what was asked for, so it is no failure here.
func (c *rollbackCmd) Run(s *session) error {
	if !runNumber.MatchString(c.ID) {
		return &failure{code: ExitUsage, text: "that is not the number of a run; nothing was done.", hint: "rekey runs"}
	}
	req := commands.Request{Verb: commands.Rollback, Run: c.ID, Reason: strings.Join(c.Why, " ")}
	err := s.start(req, c.JSON)
	var f *failure
	if !errors.As(err, &f) || f.code != ExitRunFailed {
		return err
	}
	a, errRead := s.reader()
	if errRead != nil {
		return err
	}
	defer a.Close()
	if run, _, errLook := a.Look(s.ctx, c.ID); errLook == nil && run.State == ledger.RolledBack {
		return nil
	}
	return err
}
