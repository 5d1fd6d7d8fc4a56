package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rekey/audit"
	"rekey/commands/issue"
)

const (
	// ending bounds how long sessions that were told to end may take.
	ending = 15 * time.Second
	// glance is the pause between two looks.
	glance = 50 * time.Millisecond
)

// session is a group of live sessions of one role.
type session struct {
	from, program, database string
	number                  int
	last                    time.Time
}

// String reads "10.0.0.7 (gunicorn, 3 sessions)".
func (s session) String() string {
	if s.program == "" {
		return fmt.Sprintf("%s (%s)", s.from, audit.Count(s.number, "session"))
	}
	return fmt.Sprintf("%s (%s, %s)", s.from, s.program, audit.Count(s.number, "session"))
}

func total(all []session) (n int) {
	for _, s := range all {
		n += s.number
	}
	return n
}

// name lists sessions for people.
func name(all []session) []string {
	names := make([]string, 0, len(all))
	for _, s := range all {
		names = append(names, s.String())
	}
	return names
}

// live reads the sessions of a role on one server, in whatever database. A role
// without pg_read_all_stats sees how many there are but not from where.
func live(ctx context.Context, conn *pgx.Conn, role string) ([]session, error) {
	rows, err := conn.Query(ctx, `SELECT CASE WHEN client_addr IS NOT NULL THEN host(client_addr)
			WHEN client_port IS NULL THEN 'somewhere' ELSE 'the local socket' END,
		coalesce(application_name, ''), coalesce(datname, ''), count(*), max(coalesce(state_change, backend_start, now()))
		FROM pg_catalog.pg_stat_activity WHERE usesysid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1::text) AND leader_pid IS NULL
		AND pid <> pg_catalog.pg_backend_pid() GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3`, role)
	if err != nil {
		return nil, explain("looking at sessions", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s session, err error) {
		return s, row.Scan(&s.from, &s.program, &s.database, &s.number, &s.last)
	})
	return all, explain("looking at sessions", err)
}

// users answers the sessions of a role on every server of the admin URL. Sessions of
// our own take a moment to end after a test; they are given it. What calls itself
// rekey and stays is named like any other.
func (i *Issuer) users(ctx context.Context, t task, role string) ([]session, error) {
	patience := time.Now().Add(3 * time.Second)
	for {
		var all []session
		foreign := false
		err := i.everywhere(ctx, t, func(conn *pgx.Conn) error {
			here, err := live(ctx, conn, role)
			for _, s := range here {
				foreign = foreign || s.program != ourName
			}
			all = append(all, here...)
			return err
		})
		if err != nil || foreign || len(all) == 0 || time.Now().After(patience) {
			return all, err
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

// end ends the sessions of a role on every server, and looks until none is left: one
// that was about to begin may still appear. It answers how many there were.
func (i *Issuer) end(ctx context.Context, t task, role string) (ended int, err error) {
	err = i.everywhere(ctx, t, func(conn *pgx.Conn) error {
		patience := time.Now().Add(ending)
		for first := true; ; first = false {
			all, err := live(ctx, conn, role)
			if err != nil {
				return err
			}
			if first {
				ended += total(all)
			}
			if len(all) == 0 {
				return nil
			}
			if time.Now().After(patience) {
				return &issue.Wait{Sentence: fmt.Sprintf("Sessions of the role %s were told to end and have not yet: %s.", role, list(name(all), 5))}
			}
			if err := ask(ctx, t.order); err != nil {
				return err
			}
			if _, err := conn.Exec(ctx, `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
				WHERE usesysid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1::text) AND pid <> pg_catalog.pg_backend_pid()`, role); err != nil {
				return explain("ending the sessions of "+role, err)
			}
			if err := pause(ctx); err != nil {
				return err
			}
		}
	})
	return ended, err
}

// everywhere visits each server of the admin URL: a standby has sessions of its own.
func (i *Issuer) everywhere(ctx context.Context, t task, visit func(*pgx.Conn) error) error {
	a, err := t.adminAddress()
	if err != nil {
		return err
	}
	for _, h := range a.hosts {
		c, err := i.config(a, []endpoint{h}, a.password)
		if err != nil {
			return issue.Faultf("The admin URL in %s %s.", t.with.Admin, err)
		}
		c.ValidateConnect = nil
		db, err := i.open(ctx, c)
		if err != nil {
			return err
		}
		err = visit(db.Conn)
		db.close(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(glance):
		return nil
	}
}
