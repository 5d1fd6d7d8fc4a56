package postgres

import (
	"context"

	"rekey/commands/issue"
)

// Usage answers the live sessions of the old role.
func (i *Issuer) Usage(ctx context.Context, o issue.Order) (issue.Usage, error) {
	t, err := read(o)
	if err != nil {
		return issue.Usage{}, err
	}
	all, err := i.users(ctx, t, t.old)
	if err != nil {
		return issue.Usage{}, err
	}
	u := issue.Usage{Users: name(all)}
	for _, s := range all {
		u.Callers = append(u.Callers, issue.Caller{Name: s.from, Says: s.String()})
		if s.last.After(u.Since) {
			u.Since = s.last
		}
	}
	return u, nil
}
