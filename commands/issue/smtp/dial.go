package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"rekey/commands/secret"
)

const (
	// loginWithin bounds one login from dialling on. Servers may be slow on purpose:
	// to greet, and to answer a wrong password.
	loginWithin = 30 * time.Second
	// sendWithin bounds one mail from dialling on.
	sendWithin = 2 * time.Minute
	// quitWithin bounds saying good-bye.
	quitWithin = 2 * time.Second
	// longestAnswers is how much one connection may hear in all, in bytes: the client
	// reads lines of any length.
	longestAnswers = 1 << 20
)

// errTalkative: the server said more than longestAnswers.
var errTalkative = errors.New("too much was said")

// bounded is a connection that hears at most left bytes.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTalkative
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// session is one connection that is encrypted and has been greeted. It belongs to one
// goroutine.
type session struct {
	ctx    context.Context //nolint:containedctx // it is what ends the connection
	client *smtp.Client
	stop   func() bool
}

// dial connects, encrypts and greets. When ctx ends, so does what the session waits
// for. The error is an *Error.
func dial(ctx context.Context, cfg secret.SMTPIssuer) (*session, error) {
	host, _, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, lasting("its address in the catalogue cannot be used")
	}
	trust, err := trusted(cfg.CAFile, host)
	if err != nil {
		return nil, err
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, reason(ctx, err, "the call")
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = raw.SetDeadline(deadline) // fails on a closed connection alone, which the next read tells
	}
	s := &session{ctx: ctx, stop: context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })}
	if err := s.begin(cfg, &bounded{Conn: raw, left: longestAnswers}, host, trust); err != nil {
		s.stop()
		_ = raw.Close()
		return nil, err
	}
	return s, nil
}

func (s *session) begin(cfg secret.SMTPIssuer, conn net.Conn, host string, trust *tls.Config) (err error) {
	name := callName(conn.LocalAddr())
	if cfg.Implicit {
		secured := tls.Client(conn, trust)
		if err := secured.HandshakeContext(s.ctx); err != nil {
			return reason(s.ctx, err, "the handshake")
		}
		conn = secured
	}
	if s.client, err = smtp.NewClient(conn, host); err != nil {
		return reason(s.ctx, err, "the call")
	}
	if err := s.client.Hello(name); err != nil {
		return reason(s.ctx, err, "the greeting")
	}
	if !cfg.Implicit {
		if offered, _ := s.client.Extension("STARTTLS"); !offered {
			return lasting("it offers no STARTTLS, and a password is never sent in the clear")
		}
		if err := s.client.StartTLS(trust); err != nil {
			return reason(s.ctx, err, "STARTTLS")
		}
	}
	// Whatever the code above comes to be: no password without this.
	if state, err := s.client.GetTLSConnectionState(); err != nil || !state.HandshakeComplete || len(state.VerifiedChains) == 0 {
		return lasting("the connection is not encrypted, and a password is never sent in the clear")
	}
	return nil
}

// close says good-bye, briefly, and hangs up.
func (s *session) close() {
	if s.stop() && s.client.UpdateDeadline(quitWithin) == nil {
		_ = s.client.Quit() // whatever it answers, the connection ends
	}
	_ = s.client.Close()
}

// trusted answers what is trusted to be host.
func trusted(caFile, host string) (*tls.Config, error) {
	cfg := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return cfg, nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, lasting("the certificates in %s cannot be read", caFile)
	}
	if cfg.RootCAs, err = x509.SystemCertPool(); err != nil {
		cfg.RootCAs = x509.NewCertPool() // a host without certificates of its own
	}
	if !cfg.RootCAs.AppendCertsFromPEM(text) {
		return nil, lasting("%s holds no certificate", caFile)
	}
	return cfg, nil
}

// callName is what EHLO says: this host's full name, and where it has none its
// address as RFC 5321, section 4.1.3, writes it.
func callName(local net.Addr) string {
	if name, err := os.Hostname(); err == nil && strings.Contains(strings.Trim(name, "."), ".") {
		return name
	}
	addr, ok := local.(*net.TCPAddr)
	switch {
	case !ok:
		return "localhost"
	case addr.IP.To4() == nil:
		return "[IPv6:" + addr.IP.String() + "]"
	}
	return "[" + addr.IP.String() + "]"
}
