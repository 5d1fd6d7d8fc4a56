package rehearsal_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekey/audit/audittest"
	"rekey/commands/estatetest"
	"rekey/commands/secret"
)

// procedure is a way to rotate, with whoever makes its values valid.
type procedure struct {
	kind      secret.Procedure
	generator string
	variable  string
	// turns is the service that goes back first on the way back from the overlap; "" where
	// the old value is tried before anybody does.
	turns string
	// shownToSentry: the value is for Sentry, which may see it.
	shownToSentry bool
	furnish       func(t *testing.T, s *stage, name string) *holding
}

var procedures = []procedure{
	{kind: secret.HMACOverlap, generator: "hex32", variable: "HOOK", turns: estatetest.Web, furnish: hook},
	{kind: secret.DjangoKey, generator: "django", variable: "DJANGO_KEY", turns: estatetest.API, furnish: djangoKey},
	{kind: secret.SMTPPassword, generator: "supplied", variable: "MAIL_PASSWORD", furnish: mailPassword},
	{kind: secret.PostgresRole, generator: "supplied", variable: "DATABASE", furnish: databaseRole},
	{kind: secret.SentryKey, generator: "supplied", variable: "DSN", shownToSentry: true, furnish: clientKey},
	{kind: secret.OwnCommands, generator: "hex32", variable: "TOKEN", furnish: token},
}

// firstBack is the key of the first step of the way back.
func (p procedure) firstBack(in kindOfStore) string {
	if p.turns == "" {
		return "unswitch/try"
	}
	return "unswitch/set/" + in.consumer(p.turns)
}

func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func quoted(args ...string) string {
	all := make([]string, len(args))
	for i, a := range args {
		all[i] = fmt.Sprintf("%q", a)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func hook(*testing.T, *stage, string) *holding {
	return &holding{live: secret.NewValue(random()), scheme: "hmac", roles: [2]string{onlyAccepts, onlySigns}}
}

// djangoKey is SECRET_KEY: api verifies and signs, web only signs.
func djangoKey(t *testing.T, _ *stage, name string) *holding {
	t.Helper()
	sessions := filepath.Join(t.TempDir(), name)
	do := func(what string) string { return quoted(prop("sessions", what, sessions)...) }
	return &holding{
		live: secret.NewValue(random()), scheme: "django", roles: [2]string{signsToo, onlySigns},
		lines: []string{fmt.Sprintf("sessions: {count: %s, end: %s, tidy: %s}", do("count"), do("end"), do("tidy"))},
	}
}

// prop is a command of the owner's: this program, told by its arguments.
func prop(args ...string) []string {
	return append([]string{os.Getenv(estatetest.ExecutableVariable)}, args...)
}

// clientKey is a client key of Sentry's.
func clientKey(t *testing.T, s *stage, name string) *holding {
	t.Helper()
	s.Sentry.Grant("event:read", "project:read", "project:write", "project:admin")
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(s.Sentry.Token()), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &holding{
		live: secret.NewValue(s.Sentry.DSNOf(s.Sentry.AddKey("leather "+name), false)), roles: [2]string{onlyUses, onlyUses},
		lines: []string{fmt.Sprintf("issuer: {token: {file: %q}}", file)},
		works: func(v secret.Value) bool {
			return slices.ContainsFunc(s.Sentry.Keys(), func(k audittest.ClientKey) bool {
				return k.Active && s.Sentry.DSNOf(k, false) == v.Reveal()
			})
		},
	}
	// Keys that are switched off count as well, they must be gone in the end, and those
	// that the run made twice.
	g.valid = func() (n int) {
		for _, k := range s.Sentry.Keys() {
			known := slices.ContainsFunc(g.seen, func(v secret.Value) bool { return v.Reveal() == s.Sentry.DSNOf(k, false) })
			if known || g.run != "" && strings.Contains(k.Name, g.run) {
				n++
			}
		}
		return n
	}
	return g
}

// token is made by commands of the owner's, whose register is a folder with a file for
// each value that works.
func token(t *testing.T, _ *stage, _ string) *holding {
	t.Helper()
	dir := t.TempDir()
	do := func(step string) string { return step + ": " + quoted(prop("owner", step, dir)...) }
	g := &holding{
		live: secret.NewValue(random()), roles: [2]string{onlyUses, onlyUses},
		lines: []string{"issuer: {" + strings.Join([]string{do("create"), do("set"), do("test"), do("retire"), do("revive"), do("finish"), do("rollback")}, ", ") + "}"},
		works: func(v secret.Value) bool { return lets(dir, v.Reveal()) },
		valid: func() int {
			files, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			return len(files)
		},
	}
	if err := let(dir, g.live.Reveal(), true); err != nil {
		t.Fatal(err)
	}
	return g
}
