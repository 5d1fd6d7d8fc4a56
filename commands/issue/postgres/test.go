package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// unproven is why an open door proves nothing.
const unproven = "the server does not ask for a password from here, so nothing is proven"

// Test logs in with v and runs the application's queries in a transaction that is
// taken back.
func (i *Issuer) Test(ctx context.Context, o issue.Order, v secret.Value) verify.Try {
	var queries []string
	if o.Place.Issuer.Postgres != nil {
		queries = o.Place.Issuer.Postgres.Queries
	}
	return i.Try(ctx, v, queries)
}

// Try logs in to every server that the URL v names, and with a wrong password too,
// because a server that takes any proves nothing; then it runs queries where the
// application would, in a transaction that is taken back. Refused means that the
// login was; a query that fails is Unknown.
func (i *Issuer) Try(ctx context.Context, v secret.Value, queries []string) verify.Try {
	a, err := parse(v.Reveal())
	if err != nil {
		return verify.Try{Why: "the URL " + err.Error()}
	}
	try, _ := i.knockAll(ctx, a)
	if try.Answer != verify.Accepted {
		return try
	}
	if why := i.query(ctx, a, queries); why != "" {
		return verify.Try{Why: why}
	}
	return try
}

// knockAll asks every server and sums up. Servers that disagree have not all heard
// yet; one that is down says nothing about a password. open reports that one lets
// anybody in from here.
func (i *Issuer) knockAll(ctx context.Context, a address) (try verify.Try, open bool) {
	said := map[verify.Answer][]string{}
	var silent []string
	for _, h := range a.hosts {
		try, noLock := i.knock(ctx, a, h)
		open = open || noLock
		said[try.Answer] = append(said[try.Answer], h.String())
		if try.Why != "" {
			silent = append(silent, h.String()+": "+try.Why)
		}
	}
	why := strings.Join(silent, "; ")
	accepted, refused := said[verify.Accepted], said[verify.Refused]
	switch {
	case open:
		return verify.Try{Why: why}, true
	case len(accepted) > 0 && len(refused) > 0:
		return verify.Try{Why: list(accepted, 5) + " accepts it and " + list(refused, 5) + " refuses it"}, false
	case len(accepted) > 0:
		return verify.Try{Answer: verify.Accepted, Why: why}, false
	case len(refused) > 0:
		return verify.Try{Answer: verify.Refused, Why: why}, false
	}
	return verify.Try{Why: why}, false
}

// knock logs in to one server, with the password and with another.
func (i *Issuer) knock(ctx context.Context, a address, h endpoint) (try verify.Try, open bool) {
	answer, why := i.login(ctx, a, h, a.password)
	if answer != verify.Accepted {
		return verify.Try{Answer: answer, Why: why}, false
	}
	wrong, err := newPassword(rand.Reader)
	if err != nil {
		return verify.Try{Why: "no wrong password could be made"}, false
	}
	switch answer, why := i.login(ctx, a, h, wrong); answer {
	case verify.Refused:
		return verify.Try{Answer: verify.Accepted}, false
	case verify.Accepted:
		return verify.Try{Why: unproven}, true
	default:
		return verify.Try{Why: "a wrong password got no clear answer: " + why}, false
	}
}

// login opens a session, asks who it is and ends it.
func (i *Issuer) login(ctx context.Context, a address, h endpoint, password string) (verify.Answer, string) {
	c, err := i.config(a, []endpoint{h}, password)
	if err != nil {
		return verify.Unknown, "the URL " + err.Error()
	}
	// Which of several servers the application prefers is not the question here.
	c.ValidateConnect = nil
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return refusal(err)
	}
	defer hangUp(ctx, conn)
	var who string
	if err := conn.QueryRow(ctx, "SELECT session_user").Scan(&who); err != nil {
		return verify.Unknown, plain(err)
	}
	if who != a.user {
		return verify.Unknown, fmt.Sprintf("the session belongs to the role %s, not to %s", who, a.user)
	}
	return verify.Accepted, ""
}

// refusal tells a refused login from a server that could not be asked.
func refusal(err error) (verify.Answer, string) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "28P01" || pg.Code == "28000") {
		return verify.Refused, pg.Message
	}
	return verify.Unknown, plain(err)
}

// plain is the part of an error that tells people something. The library's own
// texts name the server several times over.
func plain(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Message
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// query runs the application's queries and answers what went wrong, "" for nothing.
func (i *Issuer) query(ctx context.Context, a address, queries []string) string {
	if len(queries) == 0 {
		queries = []string{"SELECT 1"}
	}
	c, err := i.config(a, a.hosts, a.password)
	if err != nil {
		return "the URL " + err.Error()
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return "no server of the URL serves the application: " + plain(err)
	}
	defer hangUp(ctx, conn)
	tx, err := conn.Begin(ctx)
	if err != nil {
		return plain(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := run(ctx, tx, "SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '3s'"); err != nil {
		return plain(err)
	}
	for _, q := range queries {
		// The extended protocol takes one statement: nothing can hide a COMMIT behind a
		// semicolon. pgx's own Exec takes the simple one where there are no arguments.
		if _, err := conn.PgConn().ExecParams(ctx, q, nil, nil, nil, nil).Close(); err != nil {
			return fmt.Sprintf("the query %q fails: %s", q, plain(err))
		}
		if conn.PgConn().TxStatus() != 'T' {
			return fmt.Sprintf("the query %q ends the transaction that was to take it back", q)
		}
	}
	return ""
}
