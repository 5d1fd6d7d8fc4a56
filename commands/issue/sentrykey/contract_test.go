package sentrykey_test

import (
	"strings"
	"testing"

	"rekey/commands/issue"
	"rekey/commands/issue/issuetest"
	"rekey/commands/secret"
)

// Guide: procedures/sentry-dsn/rotate, procedures/sentry-dsn/rollback
func TestContract(t *testing.T) {
	t.Parallel()
	issuetest.Run(t, func(t *testing.T) issuetest.Desk {
		w := newWorld(t)
		return issuetest.Desk{
			Issuer:  newIssuer(nil),
			Another: func() issue.Issuer { return newIssuer(nil) },
			Order:   w.order,
			MadeUp:  secret.NewValue(strings.Replace(w.sentry.DSN(), w.old.Public, strings.Repeat("0f", 16), 1)),
			Touched: w.keys,
		}
	})
}
