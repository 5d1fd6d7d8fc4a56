package rotate

import (
	"context"
	"fmt"
	"strings"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/store"
)

// Describe answers the plan of a run with everything each step would touch: files,
// commands, roles, calls. It touches nothing, and asks no service anything. Known
// values are taken out; what merely looks like one may be the name of a folder.
func (r *Rotator) Describe(ctx context.Context, s Subject) ([]commands.PlanRow, error) {
	current, _, err := r.current(ctx, s)
	if err != nil {
		return nil, err
	}
	r.learn(s, "live", current)
	var rows []commands.PlanRow
	for _, step := range Plan(s) {
		row := commands.PlanRow{Title: step.Title}
		for _, would := range r.would(s, step, current) {
			row.Would = append(row.Would, r.cfg.Guard.ScrubString(would))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// would names what a step touches, in plain words.
func (r *Rotator) would(s Subject, step ledger.Step, current secret.Value) []string {
	u, _ := s.use(step.Consumer)
	home := s.ref(s.home()).Location
	switch step.Kind {
	case KindCheck:
		var out []string
		for _, u := range s.Place.Uses {
			out = append(out, "read "+copyOf(s, u))
			out = append(out, asks(s, u)...)
		}
		if step.Stage == "" {
			out = append(out, r.atIssuerWould(s, issue.Check, current)...)
		}
		return out
	case KindCreate:
		out := r.atIssuerWould(s, issue.Create, current)
		if s.Secret.Procedure.Shared() {
			out = []string{"make a value with the generator " + string(s.Secret.Generator)}
		}
		return append(out, "keep the values of the run beside "+home)
	case KindSet:
		return []string{
			"write " + copyOf(s, u),
			"run " + strings.Join(s.consumer(u).Reload, " "),
		}
	case KindTest:
		return asks(s, u)
	case KindProve:
		var out []string
		for _, u := range s.Place.Uses {
			out = append(out, asks(s, u)...)
		}
		return append(out, r.atIssuerWould(s, issue.Test, current)...)
	case KindVerify:
		var out []string
		for _, c := range s.Place.Checks {
			out = append(out, checkWould(c))
		}
		return out
	case KindOverlap:
		return []string{"wait"}
	case KindDrain:
		if s.compromised() {
			return []string{"read who uses the old value since the switch; where callers of ours do, ask for " + span(r.cfg.Grace) + " whether it ends at once"}
		}
		return []string{"read who used the old value lately; wait until nobody does"}
	case KindEvict:
		return []string{"run " + strings.Join(s.Place.Sessions.End, " ")}
	case KindTidy:
		return []string{"run " + strings.Join(s.Place.Sessions.Tidy, " ")}
	case KindFinish:
		return []string{"remove the values of the run beside " + home}
	case KindIssue:
		return r.atIssuerWould(s, issue.Set, current)
	case KindTry:
		return r.atIssuerWould(s, issue.Test, current)
	case KindRevoke:
		return r.atIssuerWould(s, issue.Retire, current)
	case KindRemove:
		return r.atIssuerWould(s, issue.Finish, current)
	}
	return nil
}

func (r *Rotator) atIssuerWould(s Subject, step issue.Step, current secret.Value) []string {
	if !s.Secret.Procedure.Issued() {
		return nil
	}
	issuer, err := r.issuer(s)
	if err != nil {
		return []string{err.Error()}
	}
	return issuer.Plan(r.order(s, store.Escrow{Old: current}), step)
}

func copyOf(s Subject, u secret.Use) string {
	names := u.Variable
	if u.Previous != "" {
		names += " and " + u.Previous
	}
	return strings.TrimSpace(names + " in " + s.consumer(u).Location)
}

// asks names the questions a consumer is asked.
func asks(s Subject, u secret.Use) []string {
	var out []string
	if q := u.Proof.Request; q != nil && accepts(u) {
		for _, url := range q.URLs {
			out = append(out, fmt.Sprintf("send signed requests: %s %s", q.Method, url))
		}
	}
	if c := u.Proof.Challenge; c != nil && shows(u) {
		for _, url := range c.URLs {
			out = append(out, "ask GET "+url)
		}
		if len(c.Command) > 0 {
			out = append(out, "run "+strings.Join(c.Command, " ")+" NONCE")
		}
	}
	if health := s.consumer(u).Health; health != "" {
		out = append(out, "ask GET "+health)
	}
	return out
}

func checkWould(c secret.Check) string {
	switch {
	case c.URL != "":
		return fmt.Sprintf("check %s: GET %s", c.Name, c.URL)
	case len(c.Argv) > 0:
		return fmt.Sprintf("check %s: run %s", c.Name, strings.Join(c.Argv, " "))
	}
	return fmt.Sprintf("check %s (%s)", c.Name, c.Kind)
}
