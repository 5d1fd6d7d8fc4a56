// Package smtp is the issuer of mail passwords: a provider on whose dashboard people
// make and delete them, and whose SMTP server tells whether one works. It exists
// because the provider makes the value: rekey can prove it, put it in place and watch
// the old one die, but a person has to bring the one and delete the other.
//
// The protocol is RFC 5321 with STARTTLS (RFC 3207) or TLS from the first byte
// (RFC 8314) and AUTH (RFC 4954) with PLAIN (RFC 4616) or LOGIN
// (draft-murchison-sasl-login-00). No password is ever sent without TLS whose
// certificate was verified, and nothing the server says is repeated to anybody: it may
// hold what it was sent.
package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// Config describes an Issuer; its zero value is good.
type Config struct {
	// Within is how long Check keeps asking a server that cannot be asked; 0 means 15 s.
	Within time.Duration
	// Pause is between two of these questions; 0 means 1 s.
	Pause time.Duration
}

// Issuer is an issue.Issuer over the SMTP settings of the order's place.
type Issuer struct{ cfg Config }

var _ issue.Issuer = (*Issuer)(nil)

// New makes an Issuer.
func New(cfg Config) *Issuer {
	if cfg.Within == 0 {
		cfg.Within = 15 * time.Second
	}
	if cfg.Pause == 0 {
		cfg.Pause = time.Second
	}
	return &Issuer{cfg: cfg}
}

// recheck is how often it is looked whether a person has been at work.
const recheck = time.Minute

// settings answers the SMTP settings of an order.
func settings(o issue.Order) (secret.SMTPIssuer, error) {
	if o.Place.Issuer.SMTP == nil {
		return secret.SMTPIssuer{}, issue.Faultf("%s has no mail server in %s: name it in the catalogue.", o.Secret.Name, o.Place.Environment)
	}
	return *o.Place.Issuer.SMTP, nil
}

// server names the mail server to people.
func server(cfg secret.SMTPIssuer) string {
	host, _, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		host = cfg.Addr
	}
	return "the mail server " + host
}

// Create never answers a value: a person brings it with rekey provide.
func (i *Issuer) Create(_ context.Context, o issue.Order) (secret.Value, string, error) {
	cfg, err := settings(o)
	if err != nil {
		return secret.Value{}, "", err
	}
	return secret.Value{}, "", &issue.Wait{Again: recheck, Sentence: fmt.Sprintf(
		"The provider makes this password: make a new one for %s in its dashboard, then run rekey provide %s on rekey's host.", cfg.Username, o.Run)}
}

// Set has nothing to do: the password is valid since the provider made it.
func (i *Issuer) Set(_ context.Context, o issue.Order) (string, error) {
	if _, err := settings(o); err != nil {
		return "", err
	}
	return "Nothing to set: the provider made the new password valid.", nil
}

// Test logs in with v and, where From is configured, offers the envelope of a mail and
// takes it back: a password that may log in but not send as From does not do what the
// application needs. No mail is sent.
func (i *Issuer) Test(ctx context.Context, o issue.Order, v secret.Value) verify.Try {
	cfg, err := settings(o)
	if err != nil {
		return verify.Try{Why: "it has no mail server in the catalogue"}
	}
	return try(prove(ctx, cfg, v))
}

// Usage cannot be known: SMTP tells nobody who else logs in.
func (i *Issuer) Usage(context.Context, issue.Order) (issue.Usage, error) {
	return issue.Usage{}, issue.ErrCannotTell
}

// Finish has nothing to do: Retire saw the old password refused.
func (i *Issuer) Finish(context.Context, issue.Order) (string, error) {
	return "Nothing to remove: the provider has deleted the old password.", nil
}

// stopped answers ctx's error when it has ended: then an answer that is missing says
// nothing about the server.
func stopped(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !errors.Is(err, errRefused) {
		return ctx.Err()
	}
	return nil
}
