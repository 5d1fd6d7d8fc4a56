package postgres_test

import (
	"testing"

	"rekey/commands/issue"
	"rekey/commands/issue/issuetest"
	"rekey/commands/issue/postgres"
	"rekey/commands/secret"
)

func TestContract(t *testing.T) {
	t.Parallel()
	issuetest.Run(t, func(t *testing.T) issuetest.Desk {
		w := newWorld(t)
		return issuetest.Desk{
			Issuer:  postgres.New(postgres.Config{}),
			Another: func() issue.Issuer { return postgres.New(postgres.Config{}) },
			Order: func(run string) issue.Order {
				o := w.order
				o.Run = run
				return o
			},
			MadeUp:  secret.NewValue(w.login(w.app, "CanaryMadeUp")),
			Touched: func(*testing.T) string { return w.catalogs() },
			Name:    func(v secret.Value) string { return user(t, v) },
		}
	})
}
