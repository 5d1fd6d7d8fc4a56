package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// dialTimeout bounds one attempt to connect where the URL does not.
const dialTimeout = 10 * time.Second

// ourName is what our sessions are called in pg_stat_activity and in logs.
const ourName = "rekey"

// understood are the options of a URL that say how to reach a server. The others are
// the application's own (Django's conn_max_age, Prisma's schema) or settings that do
// not matter to whether a password is right; a server would refuse them.
var understood = []string{
	"sslmode", "sslcert", "sslkey", "sslrootcert", "sslpassword", "sslnegotiation", "sslsni", "sslcertmode",
	"channel_binding", "require_auth", "target_session_attrs", "connect_timeout", "krbsrvname",
	"min_protocol_version", "max_protocol_version",
}

// config answers how to connect to hosts as user with password. Nothing comes from
// this process's own PG… variables: another program's URL must mean what it means
// there.
func (i *Issuer) config(a address, hosts []endpoint, password string) (*pgx.ConnConfig, error) {
	var names, ports []string
	for _, h := range hosts {
		names = append(names, h.host)
		ports = append(ports, h.port)
	}
	words := map[string]string{ //nolint:gosec // the names of options, and no password file at all
		"host": strings.Join(names, ","), "port": strings.Join(ports, ","),
		"user": a.user, "dbname": a.database, "passfile": "/dev/null",
		"sslmode": "prefer", "target_session_attrs": "any",
	}
	for _, name := range understood {
		if v, ok := a.options[name]; ok {
			words[name] = v
		}
	}
	// Spellings of other drivers: node-postgres' ssl=true and sslmode=no-verify,
	// dj-database-url's ssl_require.
	if _, ok := a.options["sslmode"]; !ok {
		if isTrue(a.options["ssl"]) || isTrue(a.options["ssl_require"]) {
			words["sslmode"] = "require"
		}
	}
	if words["sslmode"] == "no-verify" {
		words["sslmode"] = "require"
	}
	var b strings.Builder
	for name, v := range words {
		fmt.Fprintf(&b, "%s='%s' ", name, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v))
	}
	c, err := pgx.ParseConfig(b.String())
	if err != nil {
		// The library's error quotes what it read.
		return nil, errors.New("has options that are not understood, or names a certificate that cannot be read")
	}
	c.Password = password
	c.RuntimeParams = map[string]string{"application_name": ourName}
	if options, ok := a.options["options"]; ok {
		c.RuntimeParams["options"] = options
	}
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, dialTimeout)
	// Statements are never prepared by name: a pooler between us and the server may
	// give each transaction another session.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	if i.dial != nil {
		c.DialFunc = i.dial
	}
	return c, nil
}

// isTrue reads a flag of a query.
func isTrue(s string) bool {
	switch strings.ToLower(s) {
	case "1", "true", "yes", "on", "require", "required":
		return true
	}
	return false
}

// hangUp ends a session, also when ctx is over.
func hangUp(ctx context.Context, c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = c.Close(ctx)
}
