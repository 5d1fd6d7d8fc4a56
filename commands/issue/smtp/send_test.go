package smtp_test

import (
	"errors"
	"net/mail"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/issue/smtp"
	"rekey/commands/issue/smtp/smtptest"
)

// Guide: procedures/email-host-password/test-mail, checklist/email
func TestSendTest(t *testing.T) {
	t.Parallel()
	p := start(t, smtptest.Config{})
	o := p.order(p.implicit())
	o.New = p.made("new")
	p.Add(user, o.New)
	for range 2 { // as after a crash
		if err := smtp.New(smtp.Config{}).SendTest(t.Context(), o, o.New); err != nil {
			t.Fatal(err)
		}
	}
	got := p.Messages()
	if len(got) != 2 {
		t.Fatalf("%d mails came, want 2", len(got))
	}
	m := got[0]
	if diff := cmp.Diff(smtptest.Message{From: "noreply@leather.example", To: []string{"admin@leather.example"}, Data: m.Data, User: user}, m); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	head := map[string]string{}
	for _, name := range []string{"From", "To", "Subject", "Message-ID", "Auto-Submitted", "User-Agent", "X-Mailer"} {
		head[name] = m.Header(name)
	}
	if diff := cmp.Diff(map[string]string{
		"From": `"Leather" <noreply@leather.example>`, "To": "<admin@leather.example>",
		"Subject": "rekey: test of EMAIL_HOST_PASSWORD in production", "Message-ID": "<rekey-r-1@leather.example>",
		"Auto-Submitted": "auto-generated", "User-Agent": "", "X-Mailer": "",
	}, head); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if _, err := mail.ReadMessage(strings.NewReader(m.Data)); err != nil {
		t.Errorf("not a mail: %v", err)
	}
	if _, err := mail.ParseDate(m.Header("Date")); err != nil {
		t.Errorf("its date: %v", err)
	}
	if !strings.Contains(m.Body(), "EMAIL_HOST_PASSWORD in production") || !strings.Contains(m.Body(), "Run: r-1\r\n") {
		t.Errorf("its text: %q", m.Body())
	}
	if got[1].Header("Message-ID") != m.Header("Message-ID") {
		t.Error("the same mail, sent again, has another Message-ID")
	}
	p.mustKeep(t, m.Data)
}

func TestSendTestWithoutARecipientSendsNothing(t *testing.T) {
	t.Parallel()
	p := start(t, smtptest.Config{})
	cfg := p.starttls()
	cfg.To = ""
	if err := smtp.New(smtp.Config{}).SendTest(t.Context(), p.order(cfg), p.old); err != nil || len(p.Attempts()) > 0 {
		t.Errorf("got error %v after %d logins, want nothing at all", err, len(p.Attempts()))
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	p := start(t, smtptest.Config{})
	body := "Grüße.\n.a line that begins with a dot\n.\nthe end, after a dot alone: " + strings.Repeat("long ", 300) + "\n"
	for range 2 {
		if err := smtp.Send(t.Context(), p.starttls(), p.old, "Prüfung: \r\nBcc: other@leather.example", body); err != nil {
			t.Fatal(err)
		}
	}
	got := p.Messages()
	if len(got) != 2 || got[0].Header("Message-ID") == got[1].Header("Message-ID") {
		t.Fatalf("%d mails came, want two of two ids", len(got))
	}
	if got[0].Header("Bcc") != "" || len(got[0].To) != 1 {
		t.Error("a subject became a header of its own")
	}
	m, err := mail.ReadMessage(strings.NewReader(got[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	if read := decoded(t, m); read != strings.ReplaceAll(body, "\n", "\r\n") {
		t.Errorf("the text came as %q", read)
	}
}

func TestSendIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		faults  smtptest.Faults
		want    string
		refused bool
	}{
		{"the password", smtptest.Faults{Auth: 535}, "it refused the login (535)", true},
		{"the sender", smtptest.Faults{Sender: 550}, "it answered the sender noreply@leather.example with 550", true},
		{"the recipient", smtptest.Faults{Recipient: 550}, "it answered the recipient admin@leather.example with 550", true},
		{"the mail", smtptest.Faults{Message: 554}, "it answered the mail with 554", true},
		{"the mail, for now", smtptest.Faults{Message: 451}, "it answered the mail with 451, not now", false},
		{"busy", smtptest.Faults{Greeting: 421}, "it is busy and closed the connection (421)", false},
		{"hangs up", smtptest.Faults{DropAfterAuth: true}, "the connection was closed without an answer", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, smtptest.Config{})
			p.SetFaults(c.faults)
			err := smtp.Send(t.Context(), p.starttls(), p.old, "subject", "body")
			var e *smtp.Error
			if !errors.As(err, &e) || e.Why != c.want || e.Refused != c.refused {
				t.Errorf("got %#v, want %q, refused %v", e, c.want, c.refused)
			}
			fault := outcome("", smtp.New(smtp.Config{}).SendTest(t.Context(), p.order(p.starttls()), p.old))
			if want := "fault: The test mail could not be sent through the mail server 127.0.0.1: " + c.want + "."; fault != want {
				t.Errorf("got %q, want %q", fault, want)
			}
			p.mustKeep(t, fault)
			if n := len(p.Messages()); n > 0 {
				t.Errorf("%d mails were taken", n)
			}
		})
	}
}

func TestSendMoreThanTheServerTakes(t *testing.T) {
	t.Parallel()
	p := start(t, smtptest.Config{MaxMessageBytes: 4096})
	if err := smtp.Send(t.Context(), p.starttls(), p.old, "small", "small"); err != nil {
		t.Fatal(err)
	}
	err := smtp.Send(t.Context(), p.starttls(), p.old, "large", strings.Repeat("large ", 2000))
	var e *smtp.Error
	if !errors.As(err, &e) || !e.Refused || e.Why != "it answered the mail with 552" {
		t.Errorf("got %v", err)
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	p := start(t, smtptest.Config{})
	for _, c := range [][3]string{
		{"nobody", "admin@leather.example", "the sender in the catalogue is no mail address"},
		{"noreply@leather.example", "<a@b> RCPT TO:<c@d>", "the recipient in the catalogue is no mail address"},
	} {
		cfg := p.starttls()
		cfg.From, cfg.To = c[0], c[1]
		if err := smtp.Send(t.Context(), cfg, p.old, "subject", "body"); err == nil || err.Error() != c[2] {
			t.Errorf("sending: %v, want %q", err, c[2])
		}
		got := smtp.New(smtp.Config{}).Test(t.Context(), p.order(cfg), p.old)
		if got.Why != "the login works, but "+c[2] {
			t.Errorf("testing: %+v", got)
		}
	}
}
