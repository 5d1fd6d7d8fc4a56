package smtp_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/audittest/porttest"
	"rekey/commands/issue/smtp"
	"rekey/commands/issue/smtp/smtptest"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// Guide: procedures/email-host-password/test-mail
func TestLogin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		offered []string // none: PLAIN and LOGIN
		auth    string
		want    string // the mechanism that is used
	}{
		{"the better one of two", nil, "", "PLAIN"},
		{"whatever their order", []string{"LOGIN", "PLAIN"}, "", "PLAIN"},
		{"what is offered", []string{"XOAUTH2", "LOGIN"}, "", "LOGIN"},
		{"PLAIN as configured", nil, "plain", "PLAIN"},
		{"LOGIN as configured", nil, "login", "LOGIN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, smtptest.Config{Mechanisms: c.offered})
			for _, cfg := range []secret.SMTPIssuer{p.starttls(), p.implicit()} {
				cfg.Auth = c.auth
				if got := smtp.Login(t.Context(), cfg, p.old); got.Answer != verify.Accepted {
					t.Errorf("implicit %v: the password in use: %+v, want it accepted", cfg.Implicit, got)
				}
				got := smtp.Login(t.Context(), cfg, p.made("wrong"))
				if got.Answer != verify.Refused || got.Why != "it refused the login (535)" {
					t.Errorf("implicit %v: a wrong password: %+v, want it refused", cfg.Implicit, got)
				}
			}
			good := smtptest.Attempt{User: user, Mechanism: c.want, Encrypted: true, Accepted: true}
			bad := good
			bad.Accepted = false
			if diff := cmp.Diff([]smtptest.Attempt{good, bad, good, bad}, p.Attempts()); diff != "" {
				t.Errorf("logins seen (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPasswordsOfManyKinds(t *testing.T) {
	t.Parallel()
	for name, password := range map[string]string{
		"spaces at its ends":              "  two words ",
		"not ASCII":                       "Schlüßel-ключ-鍵",
		"what base64 and SMTP care for":   "=.\\\"'$%\r*",
		"longer than a command may be":    strings.Repeat("0123456789abcdef", 40),
		"as long as a command with PLAIN": strings.Repeat("x", 320),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, smtptest.Config{})
			p.Add(user, secret.NewValue(password))
			for _, auth := range []string{"plain", "login"} {
				cfg := p.starttls()
				cfg.Auth = auth
				if got := smtp.Login(t.Context(), cfg, secret.NewValue(password)); got.Answer != verify.Accepted {
					t.Errorf("%s: %+v, want it accepted", auth, got)
				}
			}
		})
	}
}

// A password goes over an encrypted connection to the server that was named, or not at
// all, whatever a server offers.
func TestAPasswordIsNeverSentInTheClear(t *testing.T) {
	t.Parallel()
	p := start(t, smtptest.Config{})
	stranger := start(t, smtptest.Config{Names: []string{"mail.other.example"}})
	for _, c := range []struct {
		name   string
		of     *provider
		change func(cfg *secret.SMTPIssuer)
		want   string
	}{
		{"STARTTLS stripped", p, func(cfg *secret.SMTPIssuer) { cfg.Addr = p.PlainAddr() }, "it offers no STARTTLS, and a password is never sent in the clear"},
		{"STARTTLS stripped, under the name of this host", p, func(cfg *secret.SMTPIssuer) {
			cfg.Addr = strings.Replace(p.PlainAddr(), "127.0.0.1", "localhost", 1)
		}, "it offers no STARTTLS, and a password is never sent in the clear"},
		{"no TLS where TLS comes first", p, func(cfg *secret.SMTPIssuer) {
			cfg.Addr, cfg.Implicit = p.Addr(), true
		}, "it does not speak TLS from the first byte; a STARTTLS port has to be configured as one"},
		{"an authority nobody trusts", p, func(cfg *secret.SMTPIssuer) { cfg.CAFile = "" }, "its TLS certificate is not trusted"},
		{"another provider's authority", p, func(cfg *secret.SMTPIssuer) { cfg.CAFile = stranger.CAFile() }, "its TLS certificate is not trusted"},
		{"a certificate for another name", stranger, func(*secret.SMTPIssuer) {}, "its TLS certificate is not trusted"},
		{"a certificate for another name, TLS first", stranger, func(cfg *secret.SMTPIssuer) {
			cfg.Addr, cfg.Implicit = stranger.ImplicitAddr(), true
		}, "its TLS certificate is not trusted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := c.of.starttls()
			c.change(&cfg)
			got := smtp.Login(t.Context(), cfg, c.of.old)
			if diff := cmp.Diff(verify.Try{Why: c.want}, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if tried := c.of.Attempts(); len(tried) > 0 {
				t.Errorf("the server saw logins: %+v", tried)
			}
		})
	}
}

func TestWhatAServerMayAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		faults smtptest.Faults
		want   verify.Try
	}{
		{"too busy to greet", smtptest.Faults{Greeting: 421}, verify.Try{Why: "it is busy and closed the connection (421)"}},
		{"does not greet us", smtptest.Faults{Greeting: 554}, verify.Try{Why: "it answered the call with 554"}},
		{"a slow greeting", smtptest.Faults{BannerDelay: 20 * time.Millisecond}, verify.Try{Answer: verify.Accepted}},
		{"refused for good", smtptest.Faults{Auth: 535}, verify.Try{Answer: verify.Refused, Why: "it refused the login (535)"}},
		{"wants another kind of password", smtptest.Faults{Auth: 534}, verify.Try{Answer: verify.Refused, Why: "it refused the login (534)"}},
		{"refused as if nobody had logged in", smtptest.Faults{Auth: 530}, verify.Try{Answer: verify.Refused, Why: "it refused the login (530)"}},
		{"cannot check now", smtptest.Faults{Auth: 454}, verify.Try{Why: "it cannot check passwords now (454)"}},
		{"too many logins", smtptest.Faults{Auth: 421}, verify.Try{Why: "it is busy and closed the connection (421)"}},
		{"wants the password changed", smtptest.Faults{Auth: 432}, verify.Try{Why: "it wants the password changed before it is used (432)"}},
		{"another answer, for now", smtptest.Faults{Auth: 451}, verify.Try{Why: "it answered the login with 451, not now"}},
		{"another answer, for good", smtptest.Faults{Auth: 554}, verify.Try{Why: "it answered the login with 554"}},
		{"hangs up", smtptest.Faults{DropAtAuth: true}, verify.Try{Why: "the connection was closed without an answer"}},
		{"hangs up later", smtptest.Faults{DropAfterAuth: true}, verify.Try{Answer: verify.Accepted}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, smtptest.Config{})
			p.SetFaults(c.faults)
			for _, cfg := range []secret.SMTPIssuer{p.starttls(), p.implicit()} {
				if diff := cmp.Diff(c.want, smtp.Login(t.Context(), cfg, p.old)); diff != "" {
					t.Errorf("implicit %v: answer (-want +got):\n%s", cfg.Implicit, diff)
				}
			}
		})
	}
}

func TestServersThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	p := start(t, smtptest.Config{})
	for _, c := range []struct {
		name   string
		change func(cfg *secret.SMTPIssuer)
		want   string
	}{
		{"nobody listens", func(cfg *secret.SMTPIssuer) { cfg.Addr = porttest.Closed(t) }, "connection refused"},
		{"no such host", func(cfg *secret.SMTPIssuer) { cfg.Addr = "mail.invalid:587" }, "its host name was not found"},
		{"no port", func(cfg *secret.SMTPIssuer) { cfg.Addr = "127.0.0.1" }, "its address in the catalogue cannot be used"},
		{"no file of certificates", func(cfg *secret.SMTPIssuer) { cfg.CAFile = "/nowhere/ca.pem" }, "the certificates in /nowhere/ca.pem cannot be read"},
		{"a file without certificates", func(cfg *secret.SMTPIssuer) { cfg.CAFile = "login_test.go" }, "login_test.go holds no certificate"},
		{"a mechanism it does not have", func(cfg *secret.SMTPIssuer) { cfg.Auth = "cram-md5" }, "it offers no login with CRAM-MD5, only with PLAIN, LOGIN"},
		{"a user name no login can carry", func(cfg *secret.SMTPIssuer) { cfg.Username = "a\x00b" }, "a user name or password with a NUL in it cannot be sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := p.starttls()
			c.change(&cfg)
			got := smtp.Login(t.Context(), cfg, p.old)
			if c.name == "no such host" && got.Why != c.want && got.Why != "no answer in time" {
				t.Errorf("got %+v, want %q", got, c.want) // without any resolver there is no answer at all
			} else if c.name != "no such host" && got != (verify.Try{Why: c.want}) {
				t.Errorf("got %+v, want %q", got, c.want)
			}
		})
	}
}

// Whoever stops rekey does not wait for a server that says nothing.
func TestLoginEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := start(t, smtptest.Config{})
	p.SetFaults(smtptest.Faults{BannerDelay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan verify.Try, 1)
	go func() { got <- smtp.Login(ctx, p.starttls(), p.old) }()
	cancel()
	select {
	case try := <-got:
		if try != (verify.Try{Why: "the check was stopped"}) {
			t.Errorf("got %+v", try)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the login goes on after its context has ended")
	}
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if try := smtp.Login(short, p.implicit(), p.old); try != (verify.Try{Why: "no answer in time"}) {
		t.Errorf("after its deadline: %+v", try)
	}
}
