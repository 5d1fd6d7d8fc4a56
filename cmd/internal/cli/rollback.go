package cli

import (
	"errors"
	"regexp"
	"strings"

	"rekey/audit/ledger"
	"rekey/commands"
)

// wishArgs are the arguments of what can be asked of a run under way.
type wishArgs struct {
	ID   string   `arg:"" name:"run" help:"The run's number."`
	Why  []string `arg:"" optional:"" help:"The reason, in your words; never a value."`
	JSON bool     `name:"json" help:"Print the ended run as JSON."`
}

// runOrBatch is the number of a run, or of several that one command asked for.
var runOrBatch = regexp.MustCompile(`^[rb]-[0-9a-z-]{1,40}$`)

// request is the wish as a request.
func (c *wishArgs) request(v commands.Verb) (commands.Request, error) {
	if !runOrBatch.MatchString(c.ID) {
		return commands.Request{}, &failure{code: ExitUsage, text: "that is not the number of a run; nothing was done.", hint: "rekey runs"}
	}
	return commands.Request{Verb: v, Run: c.ID, Reason: strings.Join(c.Why, " ")}, nil
}

type rollbackCmd struct{ wishArgs }

// Run takes a run back to the old value and follows it to its end. Ending on the old
// value is what was asked for, so it is no failure here.
func (c *rollbackCmd) Run(s *session) error {
	req, err := c.request(commands.Rollback)
	if err != nil {
		return err
	}
	err = s.start(req, c.JSON)
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
