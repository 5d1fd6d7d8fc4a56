package awsrotation

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/verify"
)

// set makes the pending value valid where it is issued. Which value to do that with is
// found by trying: the pending one (an earlier call has done it), the current one, the
// previous one (somebody has moved labels by hand).
func (h *Handler) set(ctx context.Context, r *rotation) error {
	fresh, err := r.readPending(ctx)
	if err != nil {
		return err
	}
	issuer := r.target.issuer
	if issuer == nil {
		h.cfg.Say(fmt.Sprintf("Nobody issues %s, so there is nothing to set.", r.target.secret.Name))
		return nil
	}
	now, err := r.read(ctx, current, "")
	if err != nil {
		return err
	}
	before, err := r.read(ctx, previous, "")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		before = text{} // a text of another shape holds no value that could be tried
	}
	if try := issuer.Test(ctx, r.order(now.value, fresh.value), fresh.value); try.Answer != verify.Accepted {
		works, err := r.works(ctx, fresh.value, now.value, before.value)
		if err != nil {
			return err
		}
		note, err := issuer.Set(ctx, r.order(works, fresh.value))
		if err != nil {
			return fmt.Errorf("making the new value of %s valid: %w", r.target.secret.Name, err)
		}
		h.cfg.Say(note)
		if works.Equal(before.value) {
			return nil // the previous value is the one in use
		}
	}
	return h.evict(ctx, r, now.value, fresh.value, before.value)
}

// works answers the first of the values that its issuer accepts.
func (r *rotation) works(ctx context.Context, fresh secret.Value, candidates ...secret.Value) (secret.Value, error) {
	var said []string
	for i, v := range candidates {
		if v.IsZero() {
			continue
		}
		try := r.target.issuer.Test(ctx, r.order(v, fresh), v)
		if try.Answer == verify.Accepted {
			return v, nil
		}
		said = append(said, []string{"AWSCURRENT: ", "AWSPREVIOUS: "}[i]+why(try))
	}
	return secret.Value{}, fmt.Errorf("no value of %s works, so there is nothing to make the new one valid with (%s)", r.target.secret.Name, strings.Join(said, "; "))
}

func why(try verify.Try) string {
	switch {
	case try.Why != "":
		return try.Why
	case try.Answer == verify.Refused:
		return "refused"
	}
	return "it could not be tried"
}

// evict ends the value before the current one, which nobody would know any more after
// finishSecret: AWS remembers one previous version. It had a whole interval of the
// schedule as its overlap.
func (h *Handler) evict(ctx context.Context, r *rotation, now, fresh, before secret.Value) error {
	if before.IsZero() || before.Equal(now) || before.Equal(fresh) {
		return nil
	}
	issuer, o := r.target.issuer, r.order(before, now)
	if try := issuer.Test(ctx, o, before); try.Answer == verify.Refused {
		return nil
	}
	use, err := issuer.Usage(ctx, o)
	switch {
	case errors.Is(err, issue.ErrCannotTell):
	case err != nil:
		return fmt.Errorf("looking who still uses the value of %s before the current one: %w", r.target.secret.Name, err)
	case use.Any():
		return fmt.Errorf("the value of %s before the current one is still used%s: let them read the secret again; the rotation goes on when AWS calls again", r.target.secret.Name, users(use))
	}
	if _, err := issuer.Retire(ctx, o); err != nil {
		return fmt.Errorf("ending the value of %s before the current one: %w", r.target.secret.Name, err)
	}
	note, err := issuer.Finish(ctx, o)
	if err != nil {
		return fmt.Errorf("removing the value of %s before the current one: %w", r.target.secret.Name, err)
	}
	h.cfg.Say("The value before the current one has ended. " + note)
	return nil
}

func users(u issue.Usage) string {
	if len(u.Users) == 0 {
		return fmt.Sprintf(" (%.3g times a minute)", u.PerMinute)
	}
	return " by " + strings.Join(u.Users, ", ")
}
