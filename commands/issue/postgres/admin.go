package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rekey/commands/issue"
)

// admin is a session of the role that may make and drop roles.
type admin struct {
	*pgx.Conn
	name  string // its role
	super bool
}

// pinned are the settings every transaction of ours starts with. Names resolve to
// the catalogs alone, so that every other name is written with its schema and nobody
// can slip a table or function of his in between. A lock that is not to be had at once
// is not waited for: everybody else would queue behind us.
const pinned = `SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL datestyle = 'ISO'; SET LOCAL timezone = 'UTC'; SET LOCAL standard_conforming_strings = on;
SET LOCAL synchronous_commit = on; SET LOCAL row_security = on; SET LOCAL check_function_bodies = off;
SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = '60s'; SET LOCAL idle_in_transaction_session_timeout = '60s'`

// adminAddress reads the URL of the admin role.
func (t task) adminAddress() (address, error) {
	value, err := t.with.Admin.Read()
	if err != nil {
		return address{}, &issue.Fault{
			Sentence: fmt.Sprintf("The admin URL for %s cannot be read from %s.", t.order.Secret.Name, t.with.Admin), Err: err,
		}
	}
	// A server may know its admin by a certificate or a socket's owner.
	a, err := split(value.Reveal())
	if err != nil {
		return address{}, issue.Faultf("The admin URL in %s %s.", t.with.Admin, err)
	}
	return a, nil
}

// admin opens a session on the server that takes changes.
func (i *Issuer) admin(ctx context.Context, t task) (*admin, error) {
	a, err := t.adminAddress()
	if err != nil {
		return nil, err
	}
	c, err := i.config(a, a.hosts, a.password)
	if err != nil {
		return nil, issue.Faultf("The admin URL in %s %s.", t.with.Admin, err)
	}
	if len(a.hosts) > 1 {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	return i.open(ctx, c)
}

func (i *Issuer) open(ctx context.Context, c *pgx.ConnConfig) (*admin, error) {
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, explain("connecting as the admin role", err)
	}
	db := &admin{Conn: conn}
	row := conn.QueryRow(ctx, `SELECT r.rolname, r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) current_user`)
	if err := row.Scan(&db.name, &db.super); err != nil {
		hangUp(ctx, conn)
		return nil, explain("asking who the admin role is", err)
	}
	return db, nil
}

func (a *admin) close(ctx context.Context) { hangUp(ctx, a.Conn) }

// in runs do in one transaction and commits it. The fence of o is asked right before
// the commit. Two processes that work for the same secret take turns.
//
// PostgreSQL fails one of two grants that meet on the same object, whoever makes them;
// that is tried again.
func (a *admin) in(ctx context.Context, o issue.Order, do func(tx pgx.Tx) error) error {
	for try := 1; ; try++ {
		err := a.once(ctx, o, do)
		if !collided(err) || try == 10 {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// collided reports that a transaction was in the way of ours and nothing else.
func collided(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	return pg.Code == "40001" || pg.Code == "40P01" || pg.Code == "XX000" && strings.HasPrefix(pg.Message, "tuple concurrently")
}

func (a *admin) once(ctx context.Context, o issue.Order, do func(tx pgx.Tx) error) error {
	tx, err := a.begin(ctx, o)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := do(tx); err != nil {
		return err
	}
	if err := ask(ctx, o); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return explain("committing", err)
	}
	return nil
}

// begin starts a transaction with the pinned settings.
func (a *admin) begin(ctx context.Context, o issue.Order) (pgx.Tx, error) {
	tx, err := a.Begin(ctx)
	if err != nil {
		return nil, explain("starting a transaction", err)
	}
	err = run(ctx, tx, pinned)
	if err == nil {
		err = run(ctx, tx, `SELECT pg_advisory_xact_lock(hashtextextended(`+literal("rekey "+o.Environment.Name+" "+o.Secret.Name)+`, 0))`)
	}
	if err != nil {
		_ = tx.Rollback(context.WithoutCancel(ctx))
		return nil, explain("preparing a transaction", err)
	}
	return tx, nil
}

// run executes statements that answer nothing, as they are.
func run(ctx context.Context, tx pgx.Tx, statements string) error {
	_, err := tx.Exec(ctx, statements, pgx.QueryExecModeSimpleProtocol)
	return err
}

// explain tells a server's definite no, which is a Fault, and a lock that is taken,
// which is a Wait, from everything else. Faults and Waits pass as they are.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var fault *issue.Fault
	var wait *issue.Wait
	if errors.As(err, &fault) || errors.As(err, &wait) {
		return err
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	switch {
	case pg.Code == "55P03": // lock_not_available
		return &issue.Wait{Sentence: "PostgreSQL holds a lock that is needed while " + doing + "; it is tried again when the transaction in the way has ended."}
	case pg.Code == "42501", pg.Code == "25006", pg.Code == "2BP01", pg.Code == "3D000", // privilege, read-only, dependent objects, no such database
		strings.HasPrefix(pg.Code, "28"), strings.HasPrefix(pg.Code, "0L"), strings.HasPrefix(pg.Code, "0A"):
		return &issue.Fault{Sentence: "PostgreSQL refused " + doing + ": " + clip(pg.Message) + detail(pg) + ".", Err: err}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// detail answers the first lines of what the server adds, where it names objects.
func detail(pg *pgconn.PgError) string {
	if pg.Code != "2BP01" || pg.Detail == "" {
		return ""
	}
	return " (" + list(strings.Split(pg.Detail, "\n"), 5) + ")"
}

// listed bounds a list of names in a sentence, in bytes. A name has at most 63, but
// those of functions carry their arguments.
const listed = 160

// list joins names for people, the first few of them.
func list(names []string, most int) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 && (i == most || b.Len()+len(name) > listed) {
			return fmt.Sprintf("%s and %d more", b.String(), len(names)-i)
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(clip(name))
	}
	return b.String()
}

// clip shortens a text that a sentence has no room for, and keeps it on one line.
func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > listed {
		return string(runes[:listed]) + "…"
	}
	return s
}

// ident quotes a name, literal a text, for SQL.
func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
