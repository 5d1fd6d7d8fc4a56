package rehearsal_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rekey/audit/ledger/ledgertest"
	"rekey/commands/secret"
)

// passwordsAsked is done when the test's PostgreSQL asks everybody for a password but its
// superuser, who keeps rekey's own databases in it.
var passwordsAsked sync.Once

func askForPasswords(t *testing.T, db *pgx.Conn) {
	t.Helper()
	passwordsAsked.Do(func() {
		var file string
		if err := db.QueryRow(t.Context(), "SHOW hba_file").Scan(&file); err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{
			"COPY (SELECT unnest(ARRAY['local all postgres trust', 'local all all scram-sha-256'])) TO '" + file + "'", "SELECT pg_reload_conf()",
		} {
			if _, err := db.Exec(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
		stranger := db.Config().Copy()
		stranger.User, stranger.Password = "stranger", "made up"
		const invalidPassword = "28P01"
		var refused *pgconn.PgError
		for deadline := time.Now().Add(patience); refused == nil || refused.Code != invalidPassword; time.Sleep(5 * time.Millisecond) {
			if _, err := pgx.ConnectConfig(t.Context(), stranger); !errors.As(err, &refused) || time.Now().After(deadline) {
				t.Fatalf("PostgreSQL does not ask for passwords: %v", err)
			}
		}
	})
}

// databaseRole is a login role of a real PostgreSQL, a member of the group that owns the
// tables.
func databaseRole(t *testing.T, _ *stage, name string) *holding {
	t.Helper()
	admin := ledgertest.Postgres(t)
	db, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close(t.Context()) })
	askForPasswords(t, db)
	id, password := strings.ToLower(rand.Text()[:8]), random()
	owner, role := "owner_"+id, "app_"+id
	address, err := url.Parse(admin)
	if err != nil {
		t.Fatal("the test server's address is no URL")
	}
	for _, statement := range []string{
		"CREATE ROLE " + owner + " NOLOGIN",
		"CREATE ROLE " + role + " LOGIN PASSWORD '" + password + "' IN ROLE " + owner,
		`ALTER DATABASE "` + strings.TrimPrefix(address.Path, "/") + `" OWNER TO ` + owner,
		"CREATE TABLE articles (views int)", "ALTER TABLE articles OWNER TO " + owner,
	} {
		if _, err := db.Exec(t.Context(), statement); err != nil {
			t.Fatalf("preparing the application's database: %v", err)
		}
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(admin), 0o600); err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword(role, password)
	return &holding{
		live: secret.NewValue(address.String()), roles: [2]string{onlyUses, onlyUses},
		lines: []string{fmt.Sprintf("issuer: {admin: {file: %q}, owner: %s, queries: [%q, %q]}", file, owner, "SELECT views FROM articles", "INSERT INTO articles VALUES (1)")},
		works: func(v secret.Value) bool {
			conn, err := pgx.Connect(t.Context(), v.Reveal())
			if err != nil {
				return false
			}
			defer func() { _ = conn.Close(t.Context()) }() // nothing is lost
			_, err = conn.Exec(t.Context(), "INSERT INTO articles VALUES (2)")
			return err == nil
		},
		// Roles that cannot log in any more count as well: they must be gone in the end.
		valid: func() (n int) {
			err := db.QueryRow(t.Context(), `SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
				WHERE m.roleid = $1::regrole AND r.rolname <> 'postgres'`, owner).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			return n
		},
		core: func(value string) string {
			u, err := url.Parse(value)
			if err != nil {
				t.Fatal("the application's address is no URL")
			}
			p, _ := u.User.Password()
			return p
		},
	}
}
