package checklist

import (
	"context"
	"errors"
	"fmt"

	"rekey/commands/issue/smtp"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// mail logs in with the live value and, where the catalogue names somebody to send it
// to, sends a test mail.
func (c *Checklist) mail(ctx context.Context, in Input, k secret.Check) finding {
	cfg := k.SMTP
	if cfg == nil {
		cfg = in.Place.Issuer.SMTP
	}
	switch {
	case cfg == nil:
		return settled("the catalogue names no mail server")
	case !fits(in.Secret, secret.SMTPPassword):
		return settled("%s is no mail password, so it was not sent to a mail server; make it a check of a secret that is", in.Secret.Name)
	case in.Live.IsZero():
		return unknown("there is no password to log in with")
	}
	if cfg.To == "" {
		switch try := smtp.Login(ctx, *cfg, in.Live); try.Answer {
		case verify.Accepted:
			return passed("%s took the password", cfg.Addr)
		case verify.Refused:
			return failed("%s refused the password (%s)", cfg.Addr, try.Why)
		default:
			return unknown("%s could not be asked: %s", cfg.Addr, try.Why)
		}
	}
	subject := fmt.Sprintf("rekey: mail works in %s", in.Environment.Name)
	body := fmt.Sprintf("This mail was sent after a change of %s in %s, with the value that is in use now.\nThat it arrived shows that mail can be sent.\n",
		in.Secret.Name, in.Environment.Name)
	err := smtp.Send(ctx, *cfg, in.Live, subject, body)
	var said *smtp.Error
	switch {
	case err == nil:
		return passed("%s took a test mail for %s", cfg.Addr, cfg.To)
	case errors.As(err, &said) && said.Refused:
		return failed("%s refused: %s", cfg.Addr, said.Why)
	case errors.As(err, &said):
		return unknown("%s could not be asked: %s", cfg.Addr, said.Why)
	}
	return unknown("%s could not be asked", cfg.Addr)
}
