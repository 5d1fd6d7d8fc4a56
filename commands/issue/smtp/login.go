package smtp

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rekey/commands/secret"
	"rekey/commands/verify"
)

// Login logs in with password and hangs up. Accepted means that the server took it,
// Refused that it turned it away for good (535, 534, 530, or 5.7.8); Why then holds the
// code. Everything else is Unknown.
func Login(ctx context.Context, cfg secret.SMTPIssuer, password secret.Value) verify.Try {
	return try(login(ctx, cfg, password))
}

// login is Login with an *Error, nil for Accepted.
func login(ctx context.Context, cfg secret.SMTPIssuer, password secret.Value) error {
	ctx, cancel := context.WithTimeout(ctx, loginWithin)
	defer cancel()
	s, err := open(ctx, cfg, password)
	if err != nil {
		return err
	}
	s.close()
	return nil
}

// prove is login and, where a sender is configured, the question whether it may send.
func prove(ctx context.Context, cfg secret.SMTPIssuer, password secret.Value) error {
	ctx, cancel := context.WithTimeout(ctx, loginWithin)
	defer cancel()
	s, err := open(ctx, cfg, password)
	if err != nil {
		return err
	}
	defer s.close()
	if cfg.From == "" {
		return nil
	}
	return s.maySend(cfg)
}

// open dials and logs in. The error is an *Error.
func open(ctx context.Context, cfg secret.SMTPIssuer, password secret.Value) (*session, error) {
	s, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := s.authenticate(cfg, password); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// authenticate performs AUTH. It does so itself because the client library answers a
// refusal with a "*" that servers count as an unknown command, and keeps of the answer
// only what it takes the mechanism's word for.
func (s *session) authenticate(cfg secret.SMTPIssuer, password secret.Value) error {
	_, offer := s.client.Extension("AUTH")
	mechanism, err := choose(cfg.Auth, strings.Fields(strings.ToUpper(offer)))
	if err != nil {
		return err
	}
	if strings.ContainsRune(cfg.Username, 0) || strings.ContainsRune(password.Reveal(), 0) {
		return lasting("a user name or password with a NUL in it cannot be sent")
	}
	lines := script(mechanism, cfg.Username, password)
	for n, line := range lines {
		code, detail, err := s.say(line)
		switch {
		case err != nil:
			return reason(s.ctx, err, "the login")
		case code == 334 && n < len(lines)-1:
			continue
		case code == 334:
			_, _, _ = s.say("*") // RFC 4954, section 4: takes the login back
			return lasting("it asked for more than a user name and a password")
		case code == 235 && n < len(lines)-1:
			return lasting("it let the login in before it saw the password")
		case code == 235:
			return nil
		}
		return rejected(code, detail)
	}
	return lasting("it has no login") // script is never empty
}

// choose takes the mechanism that is configured, else the better one offered. PLAIN is
// the better: it is a standard, and one exchange.
func choose(wanted string, offered []string) (string, error) {
	preferred := []string{"PLAIN", "LOGIN"}
	if wanted != "" {
		preferred = []string{strings.ToUpper(wanted)}
	}
	for _, m := range preferred {
		if slices.Contains(offered, m) {
			return m, nil
		}
	}
	offered = slices.DeleteFunc(offered, func(m string) bool { return !mechanismName.MatchString(m) })
	switch {
	case len(offered) == 0:
		return "", lasting("it offers no login")
	case len(offered) > 8:
		offered = offered[:8]
	}
	return "", lasting("it offers no login with %s, only with %s", strings.Join(preferred, " or "), strings.Join(offered, ", "))
}

// mechanismName is RFC 4422's form of one: what else a server puts there is not shown.
var mechanismName = regexp.MustCompile(`^[A-Z0-9_-]{1,20}$`)

// longestCommand is RFC 5321's limit in bytes, with the line's end. A longer initial
// response goes on a line of its own (RFC 4954, section 4).
const longestCommand = 512

// script answers the lines a login says.
func script(mechanism, user string, password secret.Value) []string {
	b64 := base64.StdEncoding.EncodeToString
	if mechanism == "LOGIN" {
		return []string{"AUTH LOGIN", b64([]byte(user)), b64([]byte(password.Reveal()))}
	}
	response := b64([]byte("\x00" + user + "\x00" + password.Reveal()))
	if len("AUTH PLAIN "+response+"\r\n") > longestCommand {
		return []string{"AUTH PLAIN", response}
	}
	return []string{"AUTH PLAIN " + response}
}

// say sends a line and answers its code, and the enhanced code (RFC 2034) where there
// is one. Of the server's words nothing else is kept.
func (s *session) say(line string) (code int, detail string, err error) {
	id, err := s.client.Text.Cmd("%s", line)
	if err != nil {
		return 0, "", err
	}
	s.client.Text.StartResponse(id)
	defer s.client.Text.EndResponse(id)
	code, text, err := s.client.Text.ReadResponse(0)
	return code, enhanced.FindString(text), err
}

var enhanced = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// rejected is an answer to a login other than 235 and 334 (RFC 4954, section 6).
func rejected(code int, detail string) *Error {
	switch {
	case code == 535, code == 534, code == 530, code >= 500 && detail == "5.7.8":
		return &Error{Why: fmt.Sprintf("it refused the login (%d)", code), Refused: true}
	case code == 421:
		return &Error{Why: "it is busy and closed the connection (421)"}
	case code == 432:
		return lasting("it wants the password changed before it is used (432)")
	case code == 454:
		return &Error{Why: "it cannot check passwords now (454)"}
	}
	return coded(code, "the login")
}
