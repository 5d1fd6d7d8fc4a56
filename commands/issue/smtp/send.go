package smtp

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"rekey/commands/issue"
	"rekey/commands/secret"
)

// Send logs in with password and sends a mail in plain text from cfg.From to cfg.To.
// The error is an *Error.
func Send(ctx context.Context, cfg secret.SMTPIssuer, password secret.Value, subject, body string) error {
	return send(ctx, cfg, password, message{id: rand.Text(), subject: subject, body: body})
}

// SendTest sends the test mail of a run with v, from and to whom the place says; none
// where To is "". A mail that is sent again after a crash has the same Message-ID, by
// which mailboxes know it. The error is an *issue.Fault, or ctx's.
func (i *Issuer) SendTest(ctx context.Context, o issue.Order, v secret.Value) error {
	cfg, err := settings(o)
	if err != nil || cfg.To == "" {
		return err
	}
	err = send(ctx, cfg, v, message{
		id:      o.Run,
		subject: fmt.Sprintf("rekey: test of %s in %s", o.Secret.Name, o.Place.Environment),
		body: fmt.Sprintf("This mail was sent with the new value of %s in %s.\nThat it arrived shows that mail can be sent with it.\n\nRun: %s\n",
			o.Secret.Name, o.Place.Environment, o.Run),
	})
	if err == nil {
		return nil
	}
	if gone := stopped(ctx, err); gone != nil {
		return gone
	}
	return &issue.Fault{Sentence: fmt.Sprintf("The test mail could not be sent through %s: %v.", server(cfg), err), Err: err}
}

// message is one mail in plain text.
type message struct {
	id            string // unique; the left half of its Message-ID
	subject, body string
}

func send(ctx context.Context, cfg secret.SMTPIssuer, password secret.Value, m message) error {
	// It is rendered whole before anybody is called: half a mail must not be sent.
	text, err := render(cfg, m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	s, err := open(ctx, cfg, password)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.envelope(cfg); err != nil {
		return err
	}
	w, err := s.client.Data()
	if err != nil {
		return s.turned(err, "DATA")
	}
	if _, err := w.Write(text); err != nil {
		return s.turned(err, "the mail")
	}
	if err := w.Close(); err != nil {
		return s.turned(err, "the mail")
	}
	return nil
}

// maySend offers the envelope of a mail and takes it back.
func (s *session) maySend(cfg secret.SMTPIssuer) error {
	if err := s.envelope(cfg); err != nil {
		// It refused the sender, not the password.
		return &Error{Why: "the login works, but " + err.Error(), Lasting: isLasting(err)}
	}
	if err := s.client.Reset(); err != nil {
		return reason(s.ctx, err, "RSET")
	}
	return nil
}

// envelope says from whom and to whom a mail is.
func (s *session) envelope(cfg secret.SMTPIssuer) error {
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return lasting("the sender in the catalogue is no mail address")
	}
	s.client.SkipSMTPUTF8(ascii(cfg.From) && ascii(cfg.To)) // a relay further on may not know it
	if err := s.client.Mail("<" + from.Address + ">"); err != nil {
		return s.turned(err, "the sender "+from.Address)
	}
	if cfg.To == "" {
		return nil
	}
	to, err := mail.ParseAddress(cfg.To)
	if err != nil {
		return lasting("the recipient in the catalogue is no mail address")
	}
	if err := s.client.Rcpt("<" + to.Address + ">"); err != nil {
		return s.turned(err, "the recipient "+to.Address)
	}
	return nil
}

// turned is reason for what a server may refuse for good.
func (s *session) turned(err error, what string) *Error {
	e := reason(s.ctx, err, what)
	e.Refused = e.code >= 500
	return e
}

// render writes the mail as RFC 5322 has it.
func render(cfg secret.SMTPIssuer, m message) ([]byte, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := msg.From(cfg.From); err != nil {
		return nil, lasting("the sender in the catalogue is no mail address")
	}
	if err := msg.To(cfg.To); err != nil {
		return nil, lasting("the recipient in the catalogue is no mail address")
	}
	_, domain, _ := strings.Cut(msg.GetFrom()[0].Address, "@")
	msg.SetMessageIDWithValue("rekey-" + m.id + "@" + domain)
	msg.SetDate()
	msg.Subject(m.subject)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's absence notice, please
	msg.SetBodyString(gomail.TypeTextPlain, m.body)
	var text bytes.Buffer
	if _, err := msg.WriteTo(&text); err != nil {
		return nil, lasting("the mail could not be written")
	}
	return text.Bytes(), nil
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 })
}
