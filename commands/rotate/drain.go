package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rekey/commands/issue"
	"rekey/commands/store"
)

// drain sees who still uses the old value. A routine rotation waits until nobody does;
// a compromised one is a matter of minutes, see last.
func (r *Rotator) drain(ctx context.Context, s Subject) (Result, error) {
	if s.compromised() {
		return r.last(ctx, s)
	}
	e, err := r.escrow(ctx, s)
	if err != nil {
		return Result{}, err
	}
	usage, known, err := r.usage(ctx, s, e, s.Switched)
	var wait *issue.Wait
	switch {
	case errors.As(err, &wait):
		return Result{}, err
	case err != nil:
		return Result{}, &issue.Wait{
			Sentence: "Who still uses the old value cannot be read, so it is not retired yet: " + err.Error() + ".",
			Again:    r.cfg.Recheck,
		}
	case !known:
		return Result{Note: "Nothing tells who still uses the old value."}, nil
	case !usage.Any():
		return Result{Note: "Nobody uses the old value any more."}, nil
	}
	return Result{
		Note: r.clean("The old value is still used " + still(usage.Users, usage.PerMinute) + "; it is retired when nobody does."),
		Wait: r.cfg.Now().Add(r.cfg.Recheck),
	}, nil
}

// usage joins what the issuer and the place's own sources tell of the time since then;
// known is false when there is nothing to tell it.
func (r *Rotator) usage(ctx context.Context, s Subject, e store.Escrow, since time.Time) (all issue.Usage, known bool, err error) {
	if s.Secret.Procedure.Issued() {
		issuer, err := r.issuer(s)
		if err != nil {
			return all, false, err
		}
		all, err = issuer.Usage(ctx, r.order(s, e))
		switch {
		case err == nil:
			known = true
		case !errors.Is(err, issue.ErrCannotTell):
			return all, true, err
		}
	}
	if len(s.Place.Usage) == 0 || r.cfg.Checks == nil {
		return all, known, nil
	}
	seen, err := r.cfg.Checks.Usage(ctx, s.Place.Usage, since)
	all.Users = append(all.Users, seen.Users...)
	all.Callers = append(all.Callers, seen.Callers...)
	all.PerMinute += seen.PerMinute
	return all, true, err
}

// still says by whom, and how often.
func still(users []string, perMinute float64) string {
	var parts []string
	if len(users) > 0 {
		parts = append(parts, "by "+list(users))
	}
	if perMinute > 0 {
		parts = append(parts, fmt.Sprintf("%.3g times a minute", perMinute))
	}
	return strings.Join(parts, ", ")
}

// list names the first five.
func list(users []string) string {
	if len(users) > 5 {
		users = append(append([]string{}, users[:5]...), fmt.Sprintf("%d more", len(users)-5))
	}
	return strings.Join(users, ", ")
}
