package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"syscall"

	"rekey/commands/verify"
)

// Error is why a server did not do what it was asked. Its text is a few plain words
// without a value and without anything the server said: "connection refused".
type Error struct {
	Why string
	// Refused: the server was asked and said no for good; otherwise it is not known.
	Refused bool
	// Lasting: asking again would not help, because settings are wrong and not the
	// weather.
	Lasting bool

	code int // what the server answered; 0 for nothing
}

func (e *Error) Error() string { return e.Why }

// errRefused matches an *Error with Refused set.
var errRefused = errors.New("refused")

// Is makes errors.Is(err, errRefused) ask for Refused.
func (e *Error) Is(target error) bool { return target == errRefused && e.Refused }

// lasting answers an *Error that asking again would not mend.
func lasting(format string, args ...any) *Error {
	return &Error{Why: fmt.Sprintf(format, args...), Lasting: true}
}

// try answers what a proof that ended with err says about the value.
func try(err error) verify.Try {
	switch {
	case err == nil:
		return verify.Try{Answer: verify.Accepted}
	case errors.Is(err, errRefused):
		return verify.Try{Answer: verify.Refused, Why: err.Error()}
	}
	return verify.Try{Why: err.Error()}
}

// isLasting reports whether asking again would not help.
func isLasting(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Lasting
}

// reason puts a failed exchange into plain words. during says at what, for codes:
// "the greeting".
func reason(ctx context.Context, err error, during string) *Error {
	var (
		own       *Error
		code      *textproto.Error
		nonsense  textproto.ProtocolError
		dns       *net.DNSError
		unknownCA x509.UnknownAuthorityError
		wrongHost x509.HostnameError
		badCert   x509.CertificateInvalidError
		noTLS     tls.RecordHeaderError
		hung      *net.OpError
		timeout   net.Error
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{Why: "the check was stopped"}
	case errors.As(err, &code):
		return coded(code.Code, during)
	case errors.As(err, &unknownCA), errors.As(err, &wrongHost), errors.As(err, &badCert):
		return lasting("its TLS certificate is not trusted")
	case errors.As(err, &noTLS):
		return lasting("it does not speak TLS from the first byte; a STARTTLS port has to be configured as one")
	case errors.As(err, &nonsense):
		return lasting("what answers there is not a mail server")
	case errors.As(err, &hung) && hung.Op == "remote error": // crypto/tls: an alert came
		return lasting("it broke off the TLS handshake")
	case errors.As(err, &timeout) && timeout.Timeout(), ctx.Err() != nil:
		return &Error{Why: "no answer in time"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Error{Why: "connection refused"}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Why: "the connection was closed without an answer"}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return &Error{Why: "no route to it"}
	case errors.As(err, &dns):
		return &Error{Why: "its host name was not found"}
	case errors.Is(err, errTalkative):
		return lasting("it said more than a mail server has to say")
	}
	return &Error{Why: "the exchange with it failed"}
}

// coded is an answer other than the one that was hoped for, outside of a login.
func coded(code int, during string) *Error {
	switch {
	case code == 421:
		return &Error{Why: "it is busy and closed the connection (421)", code: code}
	case code >= 400 && code < 500:
		return &Error{Why: fmt.Sprintf("it answered %s with %d, not now", during, code), code: code}
	}
	return &Error{Why: fmt.Sprintf("it answered %s with %d", during, code), Lasting: true, code: code}
}
