package smtp

import (
	"fmt"

	"rekey/commands/issue"
)

// Plan names the calls of a step.
func (i *Issuer) Plan(o issue.Order, step issue.Step) []string {
	cfg, err := settings(o)
	if err != nil {
		return []string{err.Error()}
	}
	how := "STARTTLS"
	if cfg.Implicit {
		how = "TLS"
	}
	as := fmt.Sprintf("log in to %s with %s as %s with ", cfg.Addr, how, cfg.Username)
	var offer []string
	if cfg.From != "" {
		offer = []string{fmt.Sprintf("offer a mail from %s there and take it back: none is sent", cfg.From)}
	}
	switch step {
	case issue.Check:
		return append([]string{as + "the password in use", as + "a made-up password, which must be refused"}, offer...)
	case issue.Create:
		return []string{"wait for a person to make a password in the provider's dashboard and to run rekey provide"}
	case issue.Test:
		return append([]string{as + "the new password"}, offer...)
	case issue.Retire:
		return []string{"wait for a person to delete the old password in the provider's dashboard", as + "the old password, which must be refused", as + "the new password"}
	case issue.Revive:
		return []string{as + "the old password"}
	case issue.Rollback:
		return []string{as + "the new password and with the old one", "ask a person to delete the new password in the provider's dashboard"}
	case issue.Set, issue.Finish:
	}
	return nil
}
