package checklist

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rekey/commands/secret"
)

const (
	// databaseWithin bounds one try, from dialling to the last query.
	databaseWithin = 10 * time.Second
	// goodbyeWithin bounds the try and the rollback and end of the connection after it.
	goodbyeWithin = databaseWithin + 5*time.Second
)

// postgres connects with the live value and runs the application's own queries in a
// transaction that is rolled back.
func (c *Checklist) postgres(ctx context.Context, in Input, k secret.Check) finding {
	issuer := k.Postgres
	if issuer == nil {
		issuer = in.Place.Issuer.Postgres
	}
	queries := []string{"SELECT 1"}
	if issuer != nil && len(issuer.Queries) > 0 {
		queries = issuer.Queries
	}
	switch {
	case !fits(in.Secret, secret.PostgresRole):
		return settled("%s is no address of a database; make it a check of a secret that is", in.Secret.Name)
	case in.Live.IsZero():
		return unknown("there is no address to connect to")
	}
	cfg, err := pgx.ParseConfig(in.Live.Reveal())
	if err != nil { // its text quotes the address
		return settled("the value is no address of a PostgreSQL database")
	}
	limited, cancel := context.WithTimeout(ctx, databaseWithin)
	defer cancel()
	conn, err := pgx.ConnectConfig(limited, cfg)
	if err != nil {
		return refusal("connecting", err)
	}
	goodbye, done := context.WithTimeout(context.WithoutCancel(ctx), goodbyeWithin)
	defer done()
	defer func() { _ = conn.Close(goodbye) }()
	tx, err := conn.Begin(limited)
	if err != nil {
		return refusal("opening a transaction", err)
	}
	// The connection's end would roll it back as well; this way the server knows at once.
	defer func() { _ = tx.Rollback(goodbye) }()
	for i, query := range queries {
		if err := drain(limited, tx, query); err != nil {
			return refusal(ordinal(i, len(queries)), err)
		}
	}
	if len(queries) == 1 {
		return passed("it connected as %s and its query ran", cfg.User)
	}
	return passed("it connected as %s and its %d queries ran", cfg.User, len(queries))
}

// drain runs a query to the end of its rows: a query that fails half-way has failed.
func drain(ctx context.Context, tx pgx.Tx, query string) error {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

func ordinal(i, of int) string {
	if of == 1 {
		return "the query"
	}
	return fmt.Sprintf("query %d", i+1)
}

// refusal says what the server did not do. The text of a server's error is shown, as it
// names the table or the right that is missing; it is scrubbed with the rest. That of a
// connection is not: it quotes addresses.
func refusal(doing string, err error) finding {
	var said *pgconn.PgError
	var timeout net.Error
	switch {
	case errors.As(err, &said) && (said.Code == "28P01" || said.Code == "28000"):
		return failed("the server refused the login (%s)", said.Code)
	case errors.As(err, &said) && transient(said.Code):
		return unknown("%s: the server answered: %s (%s)", doing, said.Message, said.Code)
	case errors.As(err, &said):
		return failed("%s: the server answered: %s (%s)", doing, said.Message, said.Code)
	case errors.Is(err, syscall.ECONNREFUSED):
		return unknown("%s: connection refused", doing)
	case errors.Is(err, syscall.ENOENT):
		return unknown("%s: the server's socket does not exist", doing)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return unknown("%s: no answer within %v", doing, databaseWithin)
	}
	return unknown("%s: the server could not be reached", doing)
}

// transient reports whether a server that answers so may do better soon: no room for
// connections (53), starting or stopping (57P), its own trouble (58), lost locks (40).
func transient(code string) bool {
	switch {
	case len(code) < 2:
		return true
	case code[:2] == "53", code[:2] == "58", code[:2] == "40":
		return true
	}
	return len(code) > 2 && code[:3] == "57P"
}
