package rotate

import (
	"context"
	"errors"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/verify"
)

const (
	// lag is how long an issuer may take until a revocation counts everywhere.
	lag = 15 * time.Minute
	// lagPace lies between two attempts with the old value in that time.
	lagPace = 20 * time.Second
)

// atIssuer performs a step at the party that makes values valid.
func (r *Rotator) atIssuer(ctx context.Context, s Subject, step ledger.Step) (Result, error) {
	issuer, err := r.issuer(s)
	if err != nil {
		return Result{}, err
	}
	e, err := r.values(ctx, s, step)
	if err != nil {
		return Result{}, err
	}
	if err := s.Still(ctx); err != nil {
		return Result{}, err
	}
	o := r.order(s, e)
	note := ""
	switch step.Kind {
	case KindIssue:
		note, err = issuer.Set(ctx, o)
	case KindTry:
		if step.Stage == StageUnswitch {
			return r.tryOld(ctx, issuer, o)
		}
		return r.try(ctx, issuer, o)
	case KindRevoke:
		note, err = issuer.Retire(ctx, o)
		err = r.serving(ctx, s, e, err)
	case KindReinstate:
		note, err = issuer.Revive(ctx, o)
	case KindRemove:
		note, err = issuer.Finish(ctx, o)
	case KindWithdraw:
		note, err = issuer.Rollback(ctx, o)
	}
	return Result{Note: r.clean(note)}, err
}

// values reads the escrow; withdrawing must be possible although nothing was kept.
func (r *Rotator) values(ctx context.Context, s Subject, step ledger.Step) (store.Escrow, error) {
	e, err := r.escrow(ctx, s)
	if err == nil || step.Kind != KindWithdraw || !errors.Is(err, store.ErrNotFound) {
		return e, err
	}
	e.Old, _, err = r.current(ctx, s)
	return e, err
}

// serving marks a revocation that failed although everybody is served: consumers run
// on the new value, so there is nothing to go back for.
func (r *Rotator) serving(ctx context.Context, s Subject, e store.Escrow, err error) error {
	var fault *issue.Fault
	if !errors.As(err, &fault) {
		return err
	}
	_, asked := r.askAll(ctx, s, StageRetire, e)
	return &Fault{Sentence: r.clean(fault.Sentence), Err: fault.Err, Serving: asked == nil}
}

// try proves that the new value works where it counts.
func (r *Rotator) try(ctx context.Context, issuer issue.Issuer, o issue.Order) (Result, error) {
	try, err := r.until(ctx, func() verify.Try { return issuer.Test(ctx, o, o.New) }, verify.Accepted)
	if err != nil {
		return Result{}, err
	}
	if try.Answer != verify.Accepted {
		return Result{}, faultf("The new value does not work: %s.", r.clean(or(try.Why, "it was refused")))
	}
	return Result{Note: "The new value was tried and works."}, nil
}

// tryOld proves that there is something to go back to.
func (r *Rotator) tryOld(ctx context.Context, issuer issue.Issuer, o issue.Order) (Result, error) {
	try, err := r.until(ctx, func() verify.Try { return issuer.Test(ctx, o, o.Old) }, verify.Accepted)
	if err != nil {
		return Result{}, err
	}
	if try.Answer != verify.Accepted {
		return Result{}, faultf("The old value does not work any more: %s.", r.clean(or(try.Why, "it was refused")))
	}
	return Result{Note: "The old value was tried and works."}, nil
}

// proveIssued tries the old value where it was valid, and the new one. An issuer with
// many doors may need minutes until all of them are shut: that is waited for.
func (r *Rotator) proveIssued(ctx context.Context, s Subject, step ledger.Step, e store.Escrow) error {
	issuer, err := r.issuer(s)
	if err != nil {
		return err
	}
	o := r.order(s, e)
	for _, q := range []struct {
		name string
		v    secret.Value
		want verify.Answer
	}{{"old", e.Old, verify.Refused}, {"new", e.New, verify.Accepted}} {
		try, err := r.until(ctx, func() verify.Try { return issuer.Test(ctx, o, q.v) }, q.want)
		switch {
		case err != nil:
			return err
		case try.Answer == q.want:
		case try.Answer == verify.Unknown:
			return faultf("The %s value could not be tried: %s.", q.name, r.clean(or(try.Why, "no answer")))
		case q.want == verify.Refused && r.cfg.Now().Before(step.Started.Add(lag)):
			return &issue.Wait{Sentence: "The old value was revoked and still works somewhere; it is tried again.", Again: lagPace}
		case q.want == verify.Refused:
			return faultf("The old value still works.")
		default:
			return faultf("The new value does not work: %s.", r.clean(or(try.Why, "it was refused")))
		}
	}
	return nil
}

// until asks until the answer is as wanted or the time for a check is up.
func (r *Rotator) until(ctx context.Context, ask func() verify.Try, want verify.Answer) (verify.Try, error) {
	limited, cancel := context.WithTimeout(ctx, r.cfg.Within)
	defer cancel()
	for {
		try := ask()
		if ctx.Err() != nil {
			return try, context.Cause(ctx)
		}
		if try.Answer == want {
			return try, nil
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return try, context.Cause(ctx)
			}
			return try, nil
		case <-time.After(max(r.cfg.Pause, 100*time.Millisecond)):
		}
	}
}
