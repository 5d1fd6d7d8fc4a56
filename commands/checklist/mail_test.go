package checklist_test

import (
	"strings"
	"testing"

	"rekey/commands/checklist"
	"rekey/commands/issue/smtp/smtptest"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

const mailer = "mailer@leather.example"

func mailServer(t *testing.T) (*smtptest.Server, *secret.SMTPIssuer) {
	t.Helper()
	s, err := smtptest.Start(smtptest.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("ending the mail server: %v", err)
		}
	})
	s.Add(mailer, live)
	return s, &secret.SMTPIssuer{Addr: s.Addr(), Username: mailer, CAFile: s.CAFile(), From: "noreply@leather.example", To: "admin@leather.example"}
}

// Guide: checklist/email
func TestMail(t *testing.T) {
	t.Parallel()
	s, cfg := mailServer(t)
	c := start(t, checklist.Deps{})
	check := secret.Check{Name: "Email sending works", Kind: secret.CheckSMTP, Within: soon, Every: often, SMTP: cfg}

	// Another secret's value is never shown to a mail server.
	for _, p := range []secret.Procedure{secret.HMACOverlap, secret.DjangoKey, secret.PostgresRole, secret.SentryKey, secret.Manual} {
		want(t, run(t, c, input(p, check)), verify.UnknownCheck, "is no mail password")
	}
	if n := len(s.Attempts()); n != 0 {
		t.Fatalf("%d logins with the value of another secret", n)
	}

	check.Within = minute
	want(t, run(t, c, input(secret.SMTPPassword, check)), verify.Passed, "took a test mail for admin@leather.example")
	mails := s.Messages()
	if len(mails) != 1 || !strings.Contains(mails[0].Data, "THE_SECRET in production") || strings.Contains(mails[0].Data, canary) {
		t.Errorf("%d mails were sent; want one about the secret", len(mails))
	}
	quiet := *cfg
	quiet.To = ""
	in := input(secret.SMTPPassword, secret.Check{Kind: secret.CheckSMTP, Within: minute})
	in.Place.Issuer.SMTP = &quiet
	want(t, run(t, c, in), verify.Passed, "took the password")
	if n := len(s.Messages()); n != 1 {
		t.Errorf("%d mails after a check that sends none", n)
	}

	check.Within = soon
	s.Replace(mailer, secret.NewValue("another-password"))
	want(t, run(t, c, input(secret.SMTPPassword, check)), verify.FailedCheck, "refused")
	in.Place.Checks[0].Within, in.Place.Checks[0].Every = soon, often
	want(t, run(t, c, in), verify.FailedCheck, "refused the password")
	gone := *cfg
	gone.Addr = strings.TrimPrefix(closed(t), "http://")
	check.SMTP = &gone
	want(t, run(t, c, input(secret.SMTPPassword, check)), verify.UnknownCheck, "connection refused")
	check.SMTP = nil
	want(t, run(t, c, input(secret.SMTPPassword, check)), verify.UnknownCheck, "names no mail server")
	in.Live = secret.Value{}
	want(t, run(t, c, in), verify.UnknownCheck, "no password")
}
