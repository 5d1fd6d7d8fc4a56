package smtp_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"rekey/commands/issue"
	"rekey/commands/issue/smtp/smtptest"
	"rekey/commands/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const user = "mailer@leather.example"

// provider is a mail provider with one user and one password.
type provider struct {
	*smtptest.Server
	old secret.Value
	// known are the passwords that nobody may hear of.
	known []secret.Value
}

func start(t *testing.T, cfg smtptest.Config) *provider {
	t.Helper()
	cfg.Dir = t.TempDir()
	s, err := smtptest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("ending the mail server: %v", err)
		}
	})
	p := &provider{Server: s}
	p.old = p.made("in-use")
	p.Add(user, p.old)
	return p
}

// made answers a password that the provider has not heard of yet.
func (p *provider) made(label string) secret.Value {
	v := secret.NewValue(label + "-" + rand.Text())
	p.known = append(p.known, v)
	return v
}

// starttls are the settings of a client.
func (p *provider) starttls() secret.SMTPIssuer {
	return secret.SMTPIssuer{
		Addr: p.Addr(), Username: user, CAFile: p.CAFile(),
		From: "Leather <noreply@leather.example>", To: "admin@leather.example",
	}
}

func (p *provider) implicit() secret.SMTPIssuer {
	cfg := p.starttls()
	cfg.Addr, cfg.Implicit = p.ImplicitAddr(), true
	return cfg
}

func (p *provider) order(cfg secret.SMTPIssuer) issue.Order {
	place := secret.Place{Environment: "production", Issuer: secret.Issuer{SMTP: &cfg}}
	return issue.Order{
		Run: "r-1", Old: p.old, Place: place, Environment: secret.Environment{Name: "production"},
		Secret: secret.Secret{Name: "EMAIL_HOST_PASSWORD", Procedure: secret.SMTPPassword, Places: []secret.Place{place}},
		Still:  func(context.Context) error { return nil },
	}
}

// mustKeep fails when a text holds a password, as it is or as it goes over the wire.
func (p *provider) mustKeep(t *testing.T, text string) {
	t.Helper()
	for _, v := range p.known {
		raw := v.Reveal()
		for _, form := range []string{raw, base64.StdEncoding.EncodeToString([]byte(raw)), base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + raw))} {
			if strings.Contains(text, form) {
				t.Error("a password was told")
			}
		}
	}
}
