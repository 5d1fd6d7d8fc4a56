package secret

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Source says where rekey finds a credential of its own: exactly one of an environment
// variable and a file. The catalogue names the source and never holds the value.
type Source struct {
	Env  string
	File string // absolute path
}

// ErrNoSource reports that a Source holds nothing. Its text names no value.
var ErrNoSource = errors.New("no value there")

// IsZero reports that no source is named.
func (s Source) IsZero() bool { return s == Source{} }

// String names the source for people.
func (s Source) String() string {
	if s.File != "" {
		return s.File
	}
	return "$" + s.Env
}

// Read answers the value as it is now, without the line's end. It is read anew each
// time so that a rotated credential is taken up without a restart.
func (s Source) Read() (Value, error) {
	text := os.Getenv(s.Env)
	if s.File != "" {
		data, err := os.ReadFile(s.File)
		if err != nil {
			return Value{}, fmt.Errorf("reading %s: %w", s.File, err)
		}
		text = string(data)
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return Value{}, fmt.Errorf("%s: %w", s, ErrNoSource)
	}
	return NewValue(text), nil
}

// Issuer says where a credential comes from. The field of the secret's procedure is
// set, the others are nil.
type Issuer struct {
	SMTP     *SMTPIssuer
	Postgres *PostgresIssuer
	Sentry   *SentryIssuer
	Commands *CommandIssuer
}

// SMTPIssuer is a mail provider whose passwords people make in its dashboard.
type SMTPIssuer struct {
	Addr     string // host:port
	Implicit bool   // TLS from the first byte (465); otherwise STARTTLS is required
	Auth     string // "plain", "login"; "" takes the best the server offers of the two
	Username string
	From, To string // the test mail's; no mail is sent where To is ""
	// CAFile holds the certificates to trust besides the system's; "" for none.
	CAFile string
}

// PostgresIssuer is a PostgreSQL server on which login roles are made. The secret's
// value is a connection URL.
type PostgresIssuer struct {
	// Admin holds the URL of a role that may create roles and grant what the old role
	// has. Its database is the one of the application.
	Admin Source
	// Queries are the application's own, run by the new role in a transaction that is
	// rolled back; "SELECT 1" where none are named.
	Queries []string
	// Owner is the group role that owns the application's objects; the new role is made
	// IN ROLE it. "" where ownership does not matter.
	Owner string
}

// SentryIssuer is a Sentry project that gives out client keys. URL, organization and
// project are the environment's.
type SentryIssuer struct {
	Token Source // an auth token with project:admin (Sentry asks it for deleting a key) and event:read
}

// CommandIssuer is a secret whose steps are commands of the owner's. Each is an
// argument list; values reach it on standard input alone, as docs/protocol.md says. A
// nil list means that the step has nothing to do there.
type CommandIssuer struct {
	Check    []string // look, touch nothing
	Create   []string // answer the new value on standard output; nil: the generator makes it
	Set      []string // make the new value valid beside the old one
	Test     []string // try the value given: exit 0 it works, 3 it is refused, else unknown
	Retire   []string // make the old value invalid and end what it opened
	Revive   []string // take Retire back
	Finish   []string // remove the old value for good
	Rollback []string // make the new value invalid
	Timeout  time.Duration
}
