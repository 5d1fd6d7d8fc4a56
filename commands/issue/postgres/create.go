package postgres

import (
	"context"
	"fmt"

	"rekey/commands/issue"
	"rekey/commands/secret"
)

// Create answers the URL in use with the name of this run's role and a password made
// now. It touches no server.
func (i *Issuer) Create(_ context.Context, o issue.Order) (secret.Value, string, error) {
	t, err := read(o)
	if err != nil {
		return secret.Value{}, "", err
	}
	password, err := newPassword(i.random)
	if err != nil {
		return secret.Value{}, "", err
	}
	note := fmt.Sprintf("The new URL is for the role %s, %s.", t.new, t.url.where())
	return secret.NewValue(t.url.with(t.new, password)), note, nil
}
