package smtp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/issue"
	"rekey/commands/issue/smtp"
	"rekey/commands/issue/smtp/smtptest"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// outcome is what a step answered: a note, or a sentence with its kind before it.
func outcome(note string, err error) string {
	var fault *issue.Fault
	var wait *issue.Wait
	switch {
	case errors.As(err, &fault):
		return "fault: " + fault.Sentence
	case errors.As(err, &wait):
		return "wait: " + wait.Sentence
	case err != nil:
		return "error: " + err.Error()
	}
	return note
}

// Steps in every state a provider can be in. Each case is a story: what the provider
// has come to, and what each step says to it.
//
// Guide: procedures/email-host-password/new-password, procedures/email-host-password/rollback
func TestSteps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(t *testing.T, p *provider, o *issue.Order)
		want   map[issue.Step]string
	}{
		{"both passwords work", func(_ *testing.T, p *provider, o *issue.Order) {
			o.New = p.made("new")
			p.Add(user, o.New)
		}, map[issue.Step]string{
			issue.Check:    "The mail server 127.0.0.1 takes the password in use and refuses a made-up one.",
			issue.Create:   "wait: The provider makes this password: make a new one for mailer@leather.example in its dashboard, then run rekey provide r-1 on rekey's host.",
			issue.Set:      "Nothing to set: the provider made the new password valid.",
			issue.Retire:   "wait: The old password of mailer@leather.example still works: delete it in the provider's dashboard.",
			issue.Revive:   "The old password works.",
			issue.Rollback: "Delete the new password in the provider's dashboard: only the provider can make it invalid.",
		}},
		{"the old one was deleted", func(_ *testing.T, p *provider, o *issue.Order) {
			o.New = p.made("new")
			p.Replace(user, o.New)
		}, map[issue.Step]string{
			issue.Check:    "The old password is dead already: the mail server 127.0.0.1 refuses it. No mail is sent until the new one is in place.",
			issue.Retire:   "The provider refuses the old password and takes the new one.",
			issue.Revive:   "fault: It is too late: the old password is deleted at the provider and cannot be brought back.",
			issue.Finish:   "Nothing to remove: the provider has deleted the old password.",
			issue.Rollback: "fault: The mail server 127.0.0.1 refuses the old password and takes the new one: keep the new one, no mail can be sent with the old.",
		}},
		{"the old one was deleted in an emergency", func(_ *testing.T, p *provider, o *issue.Order) {
			o.New, o.Compromised = p.made("new"), true
			p.Replace(user, o.New)
		}, map[issue.Step]string{
			issue.Retire: "The provider refuses the old password and takes the new one. What somebody opened with the old one before may last until the provider ends it: end its sessions in the dashboard where that is offered.",
		}},
		{"the old one was dead before anybody came", func(_ *testing.T, p *provider, _ *issue.Order) {
			p.Replace(user, p.made("somebody's"))
		}, map[issue.Step]string{
			issue.Check:    "fault: The mail server 127.0.0.1 refuses the password in use (it refused the login (535)): put one that works in place, or rotate it as compromised.",
			issue.Rollback: "No new password was brought. Where one was made in the provider's dashboard, delete it there.",
		}},
		{"the old one was dead before, in an emergency", func(_ *testing.T, p *provider, o *issue.Order) {
			o.Compromised = true
			p.Replace(user, p.made("somebody's"))
		}, map[issue.Step]string{
			issue.Check: "The old password is dead already: the mail server 127.0.0.1 refuses it. No mail is sent until the new one is in place.",
		}},
		{"the wrong one was deleted", func(_ *testing.T, p *provider, o *issue.Order) {
			o.New = p.made("new")
		}, map[issue.Step]string{
			issue.Retire:   "wait: The old password of mailer@leather.example still works: delete it in the provider's dashboard.",
			issue.Rollback: "The provider refuses the new password: nothing is left of it.",
		}},
		{"both were deleted", func(_ *testing.T, p *provider, o *issue.Order) {
			o.New = p.made("new")
			p.Replace(user, p.made("somebody's"))
		}, map[issue.Step]string{
			issue.Retire: "fault: The mail server 127.0.0.1 refuses the old password and the new one: no mail can be sent. Was the wrong one deleted?",
		}},
		{"the server is ill", func(_ *testing.T, p *provider, o *issue.Order) {
			o.New = p.made("new")
			p.SetFaults(smtptest.Faults{Auth: 454})
		}, map[issue.Step]string{
			issue.Check:    "fault: The mail server 127.0.0.1 cannot be used: it cannot check passwords now (454).",
			issue.Retire:   "wait: The mail server 127.0.0.1 could not be asked whether the old password still works: it cannot check passwords now (454).",
			issue.Revive:   "wait: The mail server 127.0.0.1 could not be asked whether the old password still works: it cannot check passwords now (454).",
			issue.Rollback: "Delete the new password in the provider's dashboard: only the provider can make it invalid.",
		}},
		{"the server is ill in an emergency", func(_ *testing.T, p *provider, o *issue.Order) {
			o.Compromised = true
			p.SetFaults(smtptest.Faults{Greeting: 421})
		}, map[issue.Step]string{
			issue.Check: "The mail server 127.0.0.1 could not be asked about the old password: it is busy and closed the connection (421). The new one is proven before anything is written.",
		}},
		{"the settings are wrong in an emergency", func(_ *testing.T, _ *provider, o *issue.Order) {
			o.Compromised = true
			o.Place.Issuer.SMTP.CAFile = ""
		}, map[issue.Step]string{
			issue.Check: "fault: The mail server 127.0.0.1 cannot be used: its TLS certificate is not trusted.",
		}},
		{"the sender is not allowed", func(_ *testing.T, p *provider, _ *issue.Order) {
			p.SetFaults(smtptest.Faults{Sender: 550})
		}, map[issue.Step]string{
			issue.Check: "fault: The mail server 127.0.0.1 cannot be used: the login works, but it answered the sender noreply@leather.example with 550.",
		}},
		{"the server takes any password", func(_ *testing.T, p *provider, _ *issue.Order) {
			p.SetFaults(smtptest.Faults{AcceptAnything: true})
		}, map[issue.Step]string{
			issue.Check: "fault: The mail server 127.0.0.1 accepts anything: it took a made-up password, so no login there proves anything.",
		}},
		{"no server is named", func(_ *testing.T, _ *provider, o *issue.Order) {
			o.Place.Issuer.SMTP = nil
		}, map[issue.Step]string{
			issue.Check:    "fault: EMAIL_HOST_PASSWORD has no mail server in production: name it in the catalogue.",
			issue.Create:   "fault: EMAIL_HOST_PASSWORD has no mail server in production: name it in the catalogue.",
			issue.Set:      "fault: EMAIL_HOST_PASSWORD has no mail server in production: name it in the catalogue.",
			issue.Retire:   "fault: EMAIL_HOST_PASSWORD has no mail server in production: name it in the catalogue.",
			issue.Revive:   "fault: EMAIL_HOST_PASSWORD has no mail server in production: name it in the catalogue.",
			issue.Rollback: "fault: EMAIL_HOST_PASSWORD has no mail server in production: name it in the catalogue.",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, smtptest.Config{})
			o := p.order(p.starttls())
			c.change(t, p, &o)
			got := map[issue.Step]string{}
			i := smtp.New(smtp.Config{Within: time.Millisecond, Pause: time.Millisecond})
			for step := range c.want {
				got[step] = outcome(do(t.Context(), i, step, o))
				p.mustKeep(t, got[step])
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("said (-want +got):\n%s", diff)
			}
		})
	}
}

func do(ctx context.Context, i *smtp.Issuer, step issue.Step, o issue.Order) (string, error) {
	switch step {
	case issue.Check:
		return i.Check(ctx, o)
	case issue.Create:
		_, note, err := i.Create(ctx, o)
		return note, err
	case issue.Set:
		return i.Set(ctx, o)
	case issue.Retire:
		return i.Retire(ctx, o)
	case issue.Revive:
		return i.Revive(ctx, o)
	case issue.Finish:
		return i.Finish(ctx, o)
	case issue.Rollback:
		return i.Rollback(ctx, o)
	}
	panic("no such step: " + step)
}

// A server that is away for a moment does not end a rotation before it began.
func TestCheckAsksAgain(t *testing.T) {
	t.Parallel()
	p := start(t, smtptest.Config{})
	p.SetFaults(smtptest.Faults{Auth: 454})
	done := make(chan string, 1)
	go func() {
		i := smtp.New(smtp.Config{Within: time.Hour, Pause: time.Millisecond})
		done <- outcome(i.Check(context.WithoutCancel(t.Context()), p.order(p.starttls())))
	}()
	for len(p.Attempts()) < 3 {
		time.Sleep(time.Millisecond)
	}
	p.SetFaults(smtptest.Faults{})
	select {
	case got := <-done:
		if !strings.HasPrefix(got, "The mail server 127.0.0.1 takes the password in use") {
			t.Errorf("got %s", got)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the check does not end")
	}
}

// A password that may log in and not send is none that the application can use. Asking
// sends nothing.
func TestTestAsksWhetherItMaySend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		faults smtptest.Faults
		want   verify.Try
	}{
		{"it may", smtptest.Faults{}, verify.Try{Answer: verify.Accepted}},
		{"not as that sender", smtptest.Faults{Sender: 553}, verify.Try{Why: "the login works, but it answered the sender noreply@leather.example with 553"}},
		{"not to that recipient", smtptest.Faults{Recipient: 550}, verify.Try{Why: "the login works, but it answered the recipient admin@leather.example with 550"}},
		{"not now", smtptest.Faults{Recipient: 451}, verify.Try{Why: "the login works, but it answered the recipient admin@leather.example with 451, not now"}},
		{"the connection ends", smtptest.Faults{DropAfterAuth: true}, verify.Try{Why: "the login works, but the connection was closed without an answer"}},
		{"the login is refused", smtptest.Faults{Auth: 535}, verify.Try{Answer: verify.Refused, Why: "it refused the login (535)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, smtptest.Config{})
			p.SetFaults(c.faults)
			got := smtp.New(smtp.Config{}).Test(t.Context(), p.order(p.starttls()), p.old)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if n := len(p.Messages()); n > 0 {
				t.Errorf("%d mails were sent", n)
			}
		})
	}
}

// What was opened with a password outlives it unless the provider ends it: the note of
// an emergency says so because it is so.
func TestASessionOutlivesItsPassword(t *testing.T) {
	t.Parallel()
	for _, end := range []bool{false, true} {
		p := start(t, smtptest.Config{})
		stranger := dialRaw(t, p.ImplicitAddr(), p.CAFile())
		stranger.says("EHLO stranger.example", "250")
		stranger.login(p.old, "235")
		if n := p.Sessions(user); n != 1 {
			t.Fatalf("%d sessions, want the stranger's", n)
		}
		ended := p.Revoke(user, p.old, end)
		if end != (ended == 1) {
			t.Errorf("ended %d sessions, asked to: %v", ended, end)
		}
		if !end {
			stranger.says("MAIL FROM:<stranger@leather.example>", "250")
			continue
		}
		if line, err := stranger.try("NOOP"); err == nil {
			t.Errorf("an ended session answers %q", line)
		}
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	cfg := secret.SMTPIssuer{Addr: "smtp.leather.example:465", Implicit: true, Username: user, From: "noreply@leather.example"}
	o := issue.Order{Run: "r-1", Place: secret.Place{Issuer: secret.Issuer{SMTP: &cfg}}}
	const as = "log in to smtp.leather.example:465 with TLS as mailer@leather.example with "
	const offer = "offer a mail from noreply@leather.example there and take it back: none is sent"
	want := map[issue.Step][]string{
		issue.Check:    {as + "the password in use", as + "a made-up password, which must be refused", offer},
		issue.Create:   {"wait for a person to make a password in the provider's dashboard and to run rekey provide"},
		issue.Set:      nil,
		issue.Test:     {as + "the new password", offer},
		issue.Retire:   {"wait for a person to delete the old password in the provider's dashboard", as + "the old password, which must be refused", as + "the new password"},
		issue.Revive:   {as + "the old password"},
		issue.Finish:   nil,
		issue.Rollback: {as + "the new password and with the old one", "ask a person to delete the new password in the provider's dashboard"},
	}
	got := map[issue.Step][]string{}
	for step := range want {
		got[step] = smtp.New(smtp.Config{}).Plan(o, step)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}
