// Package smtptest is a mail provider in this process: a real SMTP server with
// STARTTLS and with TLS from the first byte, under a certificate authority of its own.
// It exists because a password is proven by logging in with it and by nothing less.
//
// As at a real provider, a user may have several passwords at once, they are made and
// deleted while the server runs, and a session that was opened with a password outlives
// it unless the provider ends it. Tests and the drill use it; the production program
// never does.
package smtptest

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"rekey/commands/secret"
)

// Config describes a server. The zero Config is a well-behaved provider on loopback.
type Config struct {
	// Dir is where ca.pem is written, for clients to trust. Required.
	Dir string
	// Names are what the server's certificate is for; none means 127.0.0.1 and localhost.
	Names []string
	// Mechanisms are offered for AUTH, of PLAIN and LOGIN; none means both. A name the
	// server does not know (XOAUTH2) is offered and then answered with 504.
	Mechanisms []string
	// MaxMessageBytes is announced with SIZE and held; 0 means no limit.
	MaxMessageBytes int64
	// Listen is where STARTTLS is spoken; "" means a free port on loopback.
	Listen string
	// IdleTimeout ends a connection that says nothing; 0 means 5 min, the shortest that
	// RFC 5321 allows.
	IdleTimeout time.Duration
}

// Faults are what can be wrong with a server; the zero Faults are none. They hold for
// what happens after they were set.
type Faults struct {
	// Greeting is said instead of 220, and the connection closed: 421, 554.
	Greeting int
	// BannerDelay is for how long a new connection hears nothing.
	BannerDelay time.Duration
	// Auth answers every login, whatever the password: 454, 421, 432, 534.
	Auth int
	// DropAtAuth closes the connection instead of answering a login.
	DropAtAuth bool
	// DropAfterAuth closes it at the first command after a successful login.
	DropAfterAuth bool
	// AcceptAnything lets every password in.
	AcceptAnything bool
	// Sender, Recipient and Message answer MAIL, RCPT and the end of DATA: 550, 451.
	Sender, Recipient, Message int
}

// Attempt is one login that was tried.
type Attempt struct {
	User      string
	Mechanism string // "PLAIN", "LOGIN"
	Encrypted bool
	Accepted  bool
}

// Message is one mail that was taken.
type Message struct {
	From string
	To   []string
	Data string // header and body as they came, lines ending in \r\n
	User string // who was logged in
}

// Server is a running server. It is safe for concurrent use.
type Server struct {
	cfg     Config
	caFile  string
	servers []*smtp.Server
	doors   [3]*door // STARTTLS, implicit TLS, no TLS at all
	serving sync.WaitGroup

	mu        sync.Mutex
	faults    Faults
	passwords map[string][]secret.Value
	sessions  map[*session]struct{}
	attempts  []Attempt
	messages  []Message
}

// Start starts a server; Close ends it.
func Start(cfg Config) (_ *Server, err error) {
	if len(cfg.Names) == 0 {
		cfg.Names = []string{"127.0.0.1", "localhost"}
	}
	if len(cfg.Mechanisms) == 0 {
		cfg.Mechanisms = []string{"PLAIN", "LOGIN"}
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = 5 * time.Minute
	}
	s := &Server{cfg: cfg, passwords: map[string][]secret.Value{}, sessions: map[*session]struct{}{}}
	certificate, caFile, err := certify(cfg.Dir, cfg.Names)
	if err != nil {
		return nil, err
	}
	s.caFile = caFile
	encrypted := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	for i, kind := range []struct {
		listen           string
		implicit, offers *tls.Config
	}{
		{listen: cfg.Listen, offers: encrypted},
		{listen: "127.0.0.1:0", implicit: encrypted, offers: encrypted},
		{listen: "127.0.0.1:0"},
	} {
		l, err := net.Listen("tcp", kind.listen)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening for mail: %w", err), s.Close())
		}
		s.doors[i] = newDoor(s, l, kind.implicit)
		s.serve(s.doors[i], kind.offers)
	}
	return s, nil
}

func (s *Server) serve(l net.Listener, offers *tls.Config) {
	srv := smtp.NewServer(smtp.BackendFunc(s.newSession))
	srv.Domain = s.cfg.Names[0]
	srv.TLSConfig = offers
	srv.AllowInsecureAuth = offers == nil // what somebody in the middle who strips STARTTLS offers
	srv.MaxMessageBytes = s.cfg.MaxMessageBytes
	srv.MaxRecipients = 10
	srv.ReadTimeout, srv.WriteTimeout = s.cfg.IdleTimeout, s.cfg.IdleTimeout
	srv.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up are what tests are about
	s.servers = append(s.servers, srv)
	s.serving.Go(func() { _ = srv.Serve(l) }) // ends when Close closes l
}

// Close ends the server and every connection; a second time it does nothing.
func (s *Server) Close() error {
	var errs []error
	for _, srv := range s.servers {
		if err := srv.Close(); !errors.Is(err, smtp.ErrServerClosed) {
			errs = append(errs, err)
		}
	}
	for _, d := range s.doors {
		if d != nil { // a server that had not begun to serve did not close it
			errs = append(errs, d.Close())
		}
	}
	s.serving.Wait()
	return errors.Join(errs...)
}

// Addr is where STARTTLS is spoken, as host:port.
func (s *Server) Addr() string { return s.doors[0].Addr().String() }

// ImplicitAddr is where TLS is spoken from the first byte, as on port 465.
func (s *Server) ImplicitAddr() string { return s.doors[1].Addr().String() }

// PlainAddr is where no TLS is spoken and logins are offered all the same: what a
// client sees when somebody in the middle strips STARTTLS.
func (s *Server) PlainAddr() string { return s.doors[2].Addr().String() }

// CAFile holds the certificate of the authority that vouches for the server.
func (s *Server) CAFile() string { return s.caFile }

// SetFaults replaces the faults.
func (s *Server) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

func (s *Server) fault() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// Add makes a password valid for user, beside those that are.
func (s *Server) Add(user string, password secret.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passwords[user] = append(s.passwords[user], password)
}

// Revoke makes a password invalid; one that is not valid is no error. With end true
// the sessions that were opened with it are ended too; ended is how many those were.
func (s *Server) Revoke(user string, password secret.Value, end bool) (ended int) {
	var conns []net.Conn
	s.mu.Lock()
	s.passwords[user] = slices.DeleteFunc(s.passwords[user], password.Equal)
	for open := range s.sessions {
		if end && open.user == user && open.password.Equal(password) {
			conns = append(conns, open.conn.Conn())
		}
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // its client may have closed it
	}
	return len(conns)
}

// Replace makes password the only valid one of user, as providers do that know one
// password per user.
func (s *Server) Replace(user string, password secret.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passwords[user] = []secret.Value{password}
}

// Passwords names the valid passwords of user in the order they were made, as
// fingerprints that tell them apart and nothing else.
func (s *Server) Passwords(user string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, v := range s.passwords[user] {
		sum := sha256.Sum256([]byte(v.Reveal()))
		out = append(out, hex.EncodeToString(sum[:4]))
	}
	return out
}

// Sessions is how many connections are logged in as user now.
func (s *Server) Sessions(user string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for open := range s.sessions {
		if open.user == user {
			n++
		}
	}
	return n
}

// Attempts are the logins tried so far, oldest first.
func (s *Server) Attempts() []Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attempts)
}

// Messages are the mails taken so far, oldest first.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Header answers the value of a header field of the message, "" where it has none.
func (m Message) Header(name string) string {
	head, _, _ := strings.Cut(m.Data, "\r\n\r\n")
	for line := range strings.SplitSeq(strings.ReplaceAll(head, "\r\n ", " "), "\r\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Body is what follows the header, as it came.
func (m Message) Body() string {
	_, body, _ := strings.Cut(m.Data, "\r\n\r\n")
	return body
}
