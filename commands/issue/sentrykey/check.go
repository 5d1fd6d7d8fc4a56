package sentrykey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rekey/audit/sentry/api"
	"rekey/commands/issue"
	"rekey/commands/secret"
)

// Check looks whether the DSN in use belongs to the project and whether the token may
// do all that will be needed. It sends no event.
func (i *Issuer) Check(ctx context.Context, o issue.Order) (note string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, err := i.open(o)
	if errors.Is(err, secret.ErrNoSource) {
		return "", &issue.Fault{Sentence: fmt.Sprintf("There is no Sentry token in %s.", o.Place.Issuer.Sentry.Token), Err: err}
	}
	if err != nil {
		return "", err
	}
	dsn, err := parse(o.Old)
	if err != nil {
		return "", issue.Faultf("The value in use is not a Sentry DSN.")
	}
	scopes, err := d.scopes(ctx)
	if err != nil {
		return "", err
	}
	number, err := d.number(ctx)
	if err != nil {
		return "", err
	}
	if dsn.GetProjectID() != number {
		return "", issue.Faultf("The DSN in use belongs to another Sentry project than %s; the catalogue names the wrong project, or somebody changed the value.", d.project())
	}
	old, err := d.look(ctx, dsn.GetPublicKey())
	if err != nil {
		return "", err
	}
	if _, err := d.named(ctx, o.Run); err != nil {
		return "", err
	}
	return describe(old, d.project()) + scopes, nil
}

func describe(old *key, project string) string {
	switch {
	case old == nil:
		return fmt.Sprintf("The DSN in use is no longer among the client keys of %s: nothing is reported to Sentry with it.", project)
	case !old.Active:
		return fmt.Sprintf("The client key in use, %s of %s, is switched off already: nothing is reported to Sentry with it.", old.called(), project)
	}
	return fmt.Sprintf("The client key in use is %s of %s.", old.called(), project)
}

// scopes checks those of the token where Sentry tells them, before anything is made
// that could then not be deleted.
func (d *desk) scopes(ctx context.Context) (note string, err error) {
	var index struct {
		Auth *struct {
			Scopes []string `json:"scopes"`
		} `json:"auth"`
	}
	_, err = d.api.Do(ctx, api.Call{}, &index)
	if err := d.explain(ctx, "tell who is asking", err); err != nil && !errors.Is(err, api.ErrNotAPI) {
		return "", err
	}
	if index.Auth == nil || index.Auth.Scopes == nil {
		return " Sentry does not tell what the token may do; deleting the old key needs project:admin.", nil
	}
	var missing []string
	for _, scope := range []string{"project:admin", "event:read"} {
		higher := map[string][]string{"event:read": {"event:write", "event:admin"}}[scope]
		if !slices.Contains(index.Auth.Scopes, scope) && !slices.ContainsFunc(higher, func(s string) bool { return slices.Contains(index.Auth.Scopes, s) }) {
			missing = append(missing, scope)
		}
	}
	if len(missing) > 0 {
		return "", issue.Faultf("The Sentry token in %s lacks %s.", d.token, strings.Join(missing, " and "))
	}
	return "", nil
}
