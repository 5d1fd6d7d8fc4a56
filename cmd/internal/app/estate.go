package app

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"time"

	"rekey/commands/issue"
	"rekey/commands/issue/command"
	"rekey/commands/issue/postgres"
	"rekey/commands/issue/sentrykey"
	"rekey/commands/issue/smtp"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/store/aws"
	"rekey/commands/store/dotenv"
	"rekey/commands/store/vault"
)

// openStores opens every place of values that the catalogue names. It asks none of
// them anything: one that is down must not keep rekey from serving.
func openStores(ctx context.Context, cat *secret.Catalogue) (map[string]store.Store, error) {
	stores := map[string]store.Store{secret.Dotenv: dotenv.New()}
	for _, s := range cat.Stores {
		var (
			opened store.Store
			err    error
		)
		switch s.Kind {
		case secret.AWSSecretsManager:
			opened, err = aws.New(ctx, aws.Config{Name: s.Name, Region: s.Region, Endpoint: s.Endpoint})
		case secret.VaultKV:
			opened, err = vault.New(vault.Config{
				Address: s.Address, Namespace: s.Namespace, Mount: s.Mount, Token: s.Token.Read, CAFile: s.CAFile,
			})
		}
		if err != nil {
			return nil, fmt.Errorf("opening the store %s: %w", s.Name, err)
		}
		stores[s.Name] = opened
	}
	return stores, nil
}

// Stores are the places of values that the catalogue names, and that of env files, by name.
func (a *App) Stores() map[string]store.Store { return maps.Clone(a.stores) }

// Issuers answers who makes the values of each procedure valid. within bounds how long
// one that cannot be asked is asked again; 0 takes each issuer's own time. Their own connections
// do not pass the outbound guard: what they send to an issuer is the credential itself.
func Issuers(within time.Duration) map[secret.Procedure]issue.Issuer {
	return map[secret.Procedure]issue.Issuer{
		secret.SMTPPassword: smtp.New(smtp.Config{Within: within}),
		secret.PostgresRole: postgres.New(postgres.Config{}),
		secret.SentryKey:    sentrykey.New(sentrykey.Config{HTTPClient: &http.Client{Timeout: 30 * time.Second}}),
		secret.OwnCommands:  command.New(),
	}
}
