package smtptest

import (
	"errors"
	"io"
	"slices"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"rekey/commands/secret"
)

// session is one connection's say.
type session struct {
	server *Server
	conn   *smtp.Conn

	// Written under server.mu when a login succeeds.
	user     string
	password secret.Value

	from string
	to   []string
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

// AuthMechanisms are what EHLO offers.
func (s *session) AuthMechanisms() []string { return s.server.cfg.Mechanisms }

// Auth starts a login.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if !slices.Contains(s.server.cfg.Mechanisms, mechanism) {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error {
			return s.login(mechanism, user, secret.NewValue(password))
		}), nil
	case sasl.Login:
		return &loginServer{login: func(user string, password secret.Value) error {
			return s.login(mechanism, user, password)
		}}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// login decides about one pair and remembers it.
func (s *session) login(mechanism, user string, password secret.Value) error {
	srv := s.server
	_, encrypted := s.conn.TLSConnectionState()
	srv.mu.Lock()
	f := srv.faults
	accepted := f.AcceptAnything || slices.ContainsFunc(srv.passwords[user], password.Equal)
	accepted = accepted && f.Auth == 0 && !f.DropAtAuth
	srv.attempts = append(srv.attempts, Attempt{User: user, Mechanism: mechanism, Encrypted: encrypted, Accepted: accepted})
	if accepted {
		s.user, s.password = user, password
		srv.sessions[s] = struct{}{}
	}
	srv.mu.Unlock()
	switch {
	case accepted:
		return nil
	case f.DropAtAuth:
		_ = s.conn.Conn().Close()
		return errors.New("dropped")
	case f.Auth != 0:
		return answer(f.Auth)
	}
	return smtp.ErrAuthFailed
}

// answer is a code with words that a client must not need.
func answer(code int) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCodeNotSet, Message: "As the provider pleases"}
}

// Mail begins a message.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	f := s.server.fault()
	switch {
	case s.user == "":
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	case f.DropAfterAuth:
		_ = s.conn.Conn().Close()
		return errors.New("dropped")
	case f.Sender != 0:
		return answer(f.Sender)
	}
	s.from = from
	return nil
}

// Rcpt adds a recipient.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if f := s.server.fault(); f.Recipient != 0 {
		return answer(f.Recipient)
	}
	s.to = append(s.to, to)
	return nil
}

// Data takes the message.
func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err // too large, above all
	}
	if f := s.server.fault(); f.Message != 0 {
		return answer(f.Message)
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.messages = append(s.server.messages, Message{From: s.from, To: s.to, Data: string(data), User: s.user})
	return nil
}

// Reset forgets the message under way.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout ends the session.
func (s *session) Logout() error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	delete(s.server.sessions, s)
	return nil
}

// loginServer is the server's side of AUTH LOGIN (draft-murchison-sasl-login-00).
type loginServer struct {
	login func(user string, password secret.Value) error
	asked int
	user  string
}

// Next takes the client's next answer.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && l.asked == 0 { // the user name may come with the command
		l.asked = 1
		return []byte("Username:"), false, nil
	}
	if l.asked < 2 {
		l.user, l.asked = string(response), 2
		return []byte("Password:"), false, nil
	}
	return nil, true, l.login(l.user, secret.NewValue(string(response)))
}
