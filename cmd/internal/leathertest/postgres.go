package leathertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"rekey/commands/secret"
)

// Database is the application's, Owner the group role that owns what is in it, Role the
// login role the estate begins with, and Admin the one that rekey logs in as.
const (
	Database = "leather_api"
	Owner    = "leather_owner"
	Role     = "leather_api"
	Admin    = "rekey_admin"
)

// startPostgres makes a cluster that asks everybody for a password and runs it, as an
// ordinary user, because PostgreSQL refuses to run as root.
func (e *Estate) startPostgres(ctx context.Context) error {
	super := random()
	e.super = e.databaseURL("postgres", super, "postgres")
	home, credential, err := e.ordinaryHome()
	if err != nil {
		return err
	}
	passwordFile := filepath.Join(home, "superuser")
	if err := os.WriteFile(passwordFile, []byte(super.Reveal()), 0o600); err != nil {
		return fmt.Errorf("making a PostgreSQL cluster: %w", err)
	}
	defer os.Remove(passwordFile)
	if credential != nil {
		if err := os.Chown(passwordFile, int(credential.Uid), int(credential.Gid)); err != nil {
			return fmt.Errorf("making a PostgreSQL cluster: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(e.tools.postgresBin, "initdb"), "-D", filepath.Join(home, "data"), "-U", "postgres",
		"-A", "scram-sha-256", "--pwfile", passwordFile, "-E", "UTF8", "--locale=C", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = home, &syscall.SysProcAttr{Credential: credential}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making a PostgreSQL cluster: %w: %s", err, out)
	}
	// INT is PostgreSQL's fast shutdown: it does not wait for clients.
	p, err := e.run(program{
		name: "postgres", dir: home, folder: home, signal: "INT", credential: credential, env: []string{"PATH=/usr/bin:/bin"},
		argv: []string{
			filepath.Join(e.tools.postgresBin, "postgres"), "-D", filepath.Join(home, "data"), "-h", "127.0.0.1",
			"-p", strconv.Itoa(e.ports["postgres"]), "-k", "", "-c", "max_connections=200", "-c", "fsync=off", "-c", "log_connections=off",
		},
	})
	if err != nil {
		return err
	}
	if err := p.await(ctx, func(ctx context.Context) bool { return e.query(ctx, "SELECT 1") == nil }); err != nil {
		return err
	}
	return e.makeRoles(ctx)
}

// makeRoles makes what a careful owner would: objects belong to a group, the
// application logs in as a member of it, and rekey may make more such members.
func (e *Estate) makeRoles(ctx context.Context) error {
	app, admin := random(), random()
	e.values["DATABASE_URL"] = e.databaseURL(Role, app, Database)
	e.values["ADMIN_URL"] = e.databaseURL(Admin, admin, Database)
	return e.query(
		ctx,
		"CREATE ROLE "+Owner+" NOLOGIN",
		// Both passwords are hex: nothing in them can end a literal.
		"CREATE ROLE "+Role+" LOGIN PASSWORD '"+app.Reveal()+"' IN ROLE "+Owner,
		"CREATE ROLE "+Admin+" LOGIN CREATEROLE PASSWORD '"+admin.Reveal()+"' IN ROLE pg_signal_backend",
		"GRANT "+Owner+" TO "+Admin+" WITH ADMIN OPTION",
		"CREATE DATABASE "+Database+" OWNER "+Owner,
	)
}

// query runs statements as the superuser.
func (e *Estate) query(ctx context.Context, statements ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, e.super.Reveal())
	if err != nil {
		return fmt.Errorf("connecting to the estate's PostgreSQL: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is lost
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("preparing the estate's PostgreSQL: %w", err)
		}
	}
	return nil
}

func (e *Estate) databaseURL(role string, password secret.Value, database string) secret.Value {
	return secret.NewValue(fmt.Sprintf("postgresql://%s:%s@127.0.0.1:%d/%s", role, password.Reveal(), e.ports["postgres"], database))
}

// ordinaryHome makes a folder for the cluster that an ordinary user can reach: the
// estate's own is closed to all others.
func (e *Estate) ordinaryHome() (string, *syscall.Credential, error) {
	home, err := os.MkdirTemp("", "rekey-leather-")
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for PostgreSQL: %w", err)
	}
	e.homes = append(e.homes, home)
	if os.Getuid() != 0 {
		return home, nil, nil
	}
	credential := &syscall.Credential{Uid: 65534, Gid: 65534} // nobody, on a machine without postgres
	if u, err := user.Lookup("postgres"); err == nil {
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	if err := os.Chown(home, int(credential.Uid), int(credential.Gid)); err != nil {
		return "", nil, fmt.Errorf("making a folder for PostgreSQL: %w", err)
	}
	return home, credential, nil
}
