package smtp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rekey/commands/issue"
	"rekey/commands/issue/issuetest"
	"rekey/commands/issue/smtp"
	"rekey/commands/issue/smtp/smtptest"
	"rekey/commands/secret"
)

// Guide: procedures/email-host-password/rollback
func TestContract(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(*provider) secret.SMTPIssuer{
		"STARTTLS": (*provider).starttls,
		"implicit TLS": func(p *provider) secret.SMTPIssuer {
			cfg := p.implicit()
			cfg.Auth = "login"
			return cfg
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuetest.Run(t, func(t *testing.T) issuetest.Desk { return desk(t, of) })
		})
	}
}

// desk is a provider with a person who makes and deletes passwords there when asked to.
func desk(t *testing.T, of func(*provider) secret.SMTPIssuer) issuetest.Desk {
	t.Helper()
	p := start(t, smtptest.Config{})
	brought := map[string]secret.Value{}
	return issuetest.Desk{
		Issuer:  smtp.New(smtp.Config{}),
		Another: func() issue.Issuer { return smtp.New(smtp.Config{Pause: time.Millisecond}) },
		Order: func(run string) issue.Order {
			o := p.order(of(p))
			o.Run = run
			return o
		},
		MadeUp: secret.NewValue("nobody.canary-made-this-up"),
		Touched: func(*testing.T) string {
			return fmt.Sprint(len(p.Messages()), p.Passwords(user))
		},
		Person: func(_ *testing.T, step issue.Step, o issue.Order) {
			switch step {
			case issue.Retire:
				p.Revoke(user, o.Old, false)
			case issue.Rollback:
				p.Revoke(user, o.New, false)
			}
		},
		Bring: func(_ *testing.T, o issue.Order) secret.Value {
			if v, ok := brought[o.Run]; ok {
				return v // a person keeps to one
			}
			v := p.made("new-" + strings.ToUpper(o.Run))
			p.Add(user, v)
			brought[o.Run] = v
			return v
		},
		NoRevive: true,
	}
}
