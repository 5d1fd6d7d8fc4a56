package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rekey/commands/issue"
	"rekey/commands/verify"
)

// Check looks at everything that could stop the rotation later, and rehearses the
// making of the new role in a transaction that is taken back. Nothing of it remains.
func (i *Issuer) Check(ctx context.Context, o issue.Order) (string, error) {
	t, err := read(o)
	if err != nil {
		return "", err
	}
	var notes []string
	try, open := i.knockAll(ctx, t.url)
	switch {
	case try.Answer == verify.Accepted:
	case try.Answer == verify.Refused && o.Compromised:
		// Whoever has the password may have changed it: all the more reason.
		notes = append(notes, fmt.Sprintf("The role %s cannot log in with the URL in use: somebody may have changed its password.", t.old))
	case try.Answer == verify.Refused:
		return "", issue.Faultf("The URL in use for %s does not log in: %s.", o.Secret.Name, clip(try.Why))
	case open:
		return "", issue.Faultf("No password can be proven for %s: %s. Give the address rekey connects from a line in pg_hba.conf that asks for scram-sha-256.", t.url.where(), unproven)
	default:
		return "", fmt.Errorf("asking %s: %s", t.url.where(), clip(try.Why))
	}
	db, err := i.admin(ctx, t)
	if err != nil {
		return "", err
	}
	defer db.close(ctx)
	if try.Answer == verify.Accepted {
		if err := i.sameServer(ctx, t, db); err != nil {
			return "", err
		}
	}
	more, err := i.rehearse(ctx, t, db)
	for try := 1; collided(err) && try < 10; try++ {
		more, err = i.rehearse(ctx, t, db)
	}
	if err != nil {
		return "", err
	}
	return strings.Join(append(notes, more...), " "), nil
}

// server is what tells one database from another, standbys included.
const server = `SELECT current_database()::text || ' ' || (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())::text || ' ' ||
	(SELECT system_identifier FROM pg_catalog.pg_control_system())::text`

// sameServer makes sure that the role is made where the application connects.
func (i *Issuer) sameServer(ctx context.Context, t task, db *admin) error {
	c, err := i.config(t.url, t.url.hosts, t.url.password)
	if err != nil {
		return issue.Faultf("The URL in use for %s %s.", t.order.Secret.Name, err)
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return explain("connecting with the URL in use", err)
	}
	defer hangUp(ctx, conn)
	var theirs, ours string
	if err := conn.QueryRow(ctx, server).Scan(&theirs); err != nil {
		return explain("asking which server the application uses", err)
	}
	if err := db.QueryRow(ctx, server).Scan(&ours); err != nil {
		return explain("asking which server the admin URL leads to", err)
	}
	if theirs != ours {
		return issue.Faultf("The admin URL in %s leads to another database than the URL of %s (%s).", t.with.Admin, t.order.Secret.Name, t.url.where())
	}
	return nil
}

// rehearse does what Set and Retire will do and takes it back, except for changes to
// row security policies, which lock tables: there it only asks whether it may.
func (i *Issuer) rehearse(ctx context.Context, t task, db *admin) ([]string, error) {
	tx, err := db.begin(ctx, t.order)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if db.name == t.old {
		return nil, issue.Faultf("The admin URL in %s is for the role %s itself, which is to be replaced.", t.with.Admin, t.old)
	}
	old, err := t.oldRole(ctx, tx)
	if err != nil {
		return nil, err
	}
	kept, err := has(ctx, tx, old.oid)
	if err != nil {
		return nil, explain("reading what the role owns", err)
	}
	if kept.keeps() && !t.order.Compromised {
		return nil, kept.fault(t.old, t.with.Owner)
	}
	if err := t.maySignal(ctx, tx, old); err != nil {
		return nil, err
	}
	verifier, err := verifier("rehearsal", i.random)
	if err != nil {
		return nil, err
	}
	c, err := i.make(ctx, db, t, tx, verifier)
	if err != nil {
		return nil, explain("rehearsing the new role", err)
	}
	if err := c.do(ctx, "taking the login from "+t.old, loginSQL(t.old, false)); err != nil {
		return nil, err
	}
	notes := []string{fmt.Sprintf("The role %s has %s, which a new role can be given.", t.old, c.from)}
	if kept.keeps() {
		notes = append(notes, fmt.Sprintf("The role %s %s: it will lose its login and stay.", t.old, kept))
		if len(kept.elsewhere) > 0 {
			notes = append(notes, "What uses it in another database is cut off.")
		}
	}
	if old.createRole {
		notes = append(notes, fmt.Sprintf("The role %s may make roles: look for ones that nobody knows.", t.old))
	}
	more, err := c.policies(ctx, old)
	if err != nil {
		return nil, err
	}
	notes = append(notes, more...)
	more, err = t.hostRules(ctx, tx)
	return append(notes, more...), err
}

// maySignal makes sure that sessions of the old role can be ended.
func (t task) maySignal(ctx context.Context, tx pgx.Tx, old *role) error {
	var may bool
	err := tx.QueryRow(ctx, `SELECT pg_has_role('pg_signal_backend', 'USAGE') OR pg_has_role($1::oid, 'USAGE')`, old.oid).Scan(&may)
	if err == nil && !may {
		err = issue.Faultf("The admin role in %s may not end sessions: GRANT pg_signal_backend to it.", t.with.Admin)
	}
	return explain("asking whether sessions may be ended", err)
}

// policies looks whether row security can follow to a role of another name.
func (c *copier) policies(ctx context.Context, old *role) ([]string, error) {
	var locked []string
	for _, p := range c.from.policies {
		if !p.mayAlter {
			locked = append(locked, p.name+" on "+p.table)
		}
	}
	if len(locked) > 0 {
		return nil, issue.Faultf("The admin role %s may not add a role to the row security policies %s: make it a member of the tables' owner.", c.db.name, list(locked, 3))
	}
	naming, asking, err := nameBound(ctx, c.tx, old)
	if err != nil {
		return nil, explain("reading row security policies", err)
	}
	var notes []string
	if len(naming) > 0 {
		said := fmt.Sprintf("Row security holds the name %s as text and would hide rows from a role of another name: %s.", old.name, list(naming, 3))
		if !c.task.order.Compromised {
			return nil, issue.Faultf("%s Let the policies name a group.", said)
		}
		notes = append(notes, said)
	}
	if len(asking) > 0 {
		notes = append(notes, fmt.Sprintf("Row security compares with the name of who asks, which changes: %s.", list(asking, 3)))
	}
	return notes, nil
}

// hostRules names lines of pg_hba.conf that know the old role by name, where the
// admin role may read them: the new name may not be let in.
func (t task) hostRules(ctx context.Context, tx pgx.Tx) ([]string, error) {
	if err := run(ctx, tx, "SAVEPOINT rules"); err != nil {
		return nil, explain("reading pg_hba.conf", err)
	}
	rows, err := tx.Query(ctx, `SELECT line_number::text FROM pg_hba_file_rules WHERE $1::text = ANY (user_name) ORDER BY line_number`, t.old)
	var lines []string
	if err == nil {
		lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		return nil, explain("reading pg_hba.conf", run(ctx, tx, "ROLLBACK TO SAVEPOINT rules"))
	}
	if err != nil || len(lines) == 0 {
		return nil, explain("reading pg_hba.conf", err)
	}
	return []string{fmt.Sprintf("Line %s of pg_hba.conf names %s: the new role %s must be let in too, best through a group (+name).", list(lines, 3), t.old, t.new)}, nil
}
