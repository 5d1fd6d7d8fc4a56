package secret_test

import (
	"testing"

	"rekey/commands/secret"
)

// Of a URL the credentials are hidden, wherever they stand, and nothing else.
func TestCredentialsInsideURLs(t *testing.T) {
	t.Parallel()
	key, err := secret.NewKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string][2]string{
		"postgresql://leather_api:Sup3rS3cretPass@db.example.com:5432/leather_api?sslmode=require": {
			"Sup3rS3cretPass at db.example.com:5432/leather_api?sslmode=require", "[redacted] at db.example.com:5432/leather_api?sslmode=require",
		},
		"postgres://app:p%40ssword%2F123@h1:5432,h2:5433/app":                   {"p@ssword/123 or p%40ssword%2F123 on h1:5432,h2:5433", "[redacted] or [redacted] on h1:5432,h2:5433"},
		"postgres:///app?host=/run/postgresql&user=app&password=hunter2hunter2": {"hunter2hunter2 in /run/postgresql", "[redacted] in /run/postgresql"},
		"https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/42":       {"key 0123456789abcdef0123456789abcdef of o1.ingest.sentry.io/42", "key [redacted] of o1.ingest.sentry.io/42"},
		"redis://cache.example.com:6379/0":                                      {"redis://cache.example.com:6379/0", "[redacted]"},
	} {
		g := secret.NewGuard(key)
		g.Add(secret.Fingerprints(key, "X", "production", secret.RoleLive, secret.NewValue(value)))
		if got := g.ScrubString(want[0]); got != want[1] {
			t.Errorf("%q became %q, want %q", want[0], got, want[1])
		}
	}
}
