package rotate

import (
	"context"
	"errors"
	"fmt"

	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/verify"
)

// create makes the new value, or has the issuer make it, and stores it with the old
// one beside the first consumer's copy. The guard knows it before it exists anywhere
// else. A value that is kept already, by an attempt that died or by a person who
// provided it, is taken.
func (r *Rotator) create(ctx context.Context, s Subject) (Result, error) {
	home := s.home()
	st, err := r.store(s, home)
	if err != nil {
		return Result{}, err
	}
	kept, err := st.Withdraw(ctx, s.ref(home), s.Run.ID)
	if err == nil {
		return r.created(s, kept, made(s)), nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return Result{}, placeFault(home, err)
	}
	current, _, err := r.current(ctx, s)
	if err != nil {
		return Result{}, err
	}
	// The values of runs that failed are worthless by now: every service was just
	// proven to run on the present value.
	for _, run := range s.Ended {
		if err := st.Discard(ctx, s.ref(home), run); err != nil {
			return Result{}, placeFault(home, err)
		}
	}
	fresh, note, err := r.fresh(ctx, s, current)
	if err != nil {
		return Result{}, err
	}
	return r.keep(ctx, s, store.Escrow{Run: s.Run.ID, Old: current, New: fresh}, note)
}

// fresh answers a value that is not the present one.
func (r *Rotator) fresh(ctx context.Context, s Subject, current secret.Value) (secret.Value, string, error) {
	if !s.Secret.Procedure.Issued() {
		fresh, err := r.generate(s)
		if err == nil && fresh.Equal(current) {
			err = faultf("the generator %s made the present value again: the source of randomness is broken", s.Secret.Generator)
		}
		return fresh, made(s), err
	}
	issuer, err := r.issuer(s)
	if err != nil {
		return secret.Value{}, "", err
	}
	fresh, note, err := issuer.Create(ctx, r.order(s, store.Escrow{Old: current}))
	if err == nil && fresh.Equal(current) {
		err = faultf("the new value is the present one: a rotation needs another")
	}
	if err == nil {
		err = r.portable(s, fresh)
	}
	return fresh, r.clean(note), err
}

// made says where a value that is kept has come from.
func made(s Subject) string {
	switch {
	case s.Secret.Procedure.Shared():
		return "A new value was made with the generator " + string(s.Secret.Generator) + "."
	case s.Secret.Generator == secret.Supplied && s.Secret.Procedure == secret.SMTPPassword:
		return "The new value was provided and works."
	}
	return "The new value is kept until the run ends."
}

// keep deposits the values of the run; from then on they survive a crash.
func (r *Rotator) keep(ctx context.Context, s Subject, e store.Escrow, note string) (Result, error) {
	home := s.home()
	st, err := r.store(s, home)
	if err != nil {
		return Result{}, err
	}
	r.learn(s, "pending", e.New)
	kept, err := st.Deposit(ctx, s.ref(home), e, s.Still)
	if err != nil {
		if lost(err) {
			return Result{}, err
		}
		return Result{}, &Fault{Sentence: fmt.Sprintf("the new value cannot be kept beside %s: %v", s.ref(home).Location, err), Err: err}
	}
	return r.created(s, kept, note), nil
}

func (r *Rotator) created(s Subject, kept store.Escrow, note string) Result {
	r.learn(s, "live", kept.Old)
	r.learn(s, "pending", kept.New)
	fps := append(r.fingerprints(s, "pending", kept.New), r.fingerprints(s, "live", kept.Old)...)
	return Result{Note: note, Fingerprints: fps}
}

// Provide takes the new value of a run that waits for one from a person. The value is
// proven where it counts before it is kept; a *Fault says what is wrong with it. Old
// values are read from the consumers, so nothing but v has to be known.
func (r *Rotator) Provide(ctx context.Context, s Subject, v secret.Value) error {
	issuer, err := r.issuer(s)
	if err != nil {
		return err
	}
	current, _, err := r.current(ctx, s)
	if err != nil {
		return err
	}
	r.learn(s, "live", current)
	r.learn(s, "pending", v)
	if v.Equal(current) {
		return faultf("That is the present value of %s; bring the new one.", s.Secret.Name)
	}
	if err := r.portable(s, v); err != nil {
		return err
	}
	e := store.Escrow{Run: s.Run.ID, Old: current, New: v}
	try := issuer.Test(ctx, r.order(s, e), v)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case try.Answer == verify.Refused:
		return faultf("The value does not work (%s); nothing was changed.", r.clean(or(try.Why, "refused")))
	case try.Answer != verify.Accepted:
		return faultf("The value could not be tried (%s); nothing was changed, provide it again when that is settled.", r.clean(or(try.Why, "no answer")))
	}
	st, err := r.store(s, s.home())
	if err != nil {
		return err
	}
	kept, err := st.Deposit(ctx, s.ref(s.home()), e, s.Still)
	if err != nil {
		return placeFault(s.home(), err)
	}
	if !kept.New.Equal(v) {
		return faultf("Another value was provided for run %s before; it is being used.", s.Run.ID)
	}
	return nil
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// choosy is a store that cannot hold every value so that all its readers read the
// same.
type choosy interface {
	Portable(v secret.Value) error
}

// portable checks that every store of the secret can hold v.
func (r *Rotator) portable(s Subject, v secret.Value) error {
	for _, u := range s.Place.Uses {
		st, err := r.store(s, u)
		if err != nil {
			return err
		}
		if c, ok := st.(choosy); ok {
			if err := c.Portable(v); err != nil {
				return &Fault{Sentence: fmt.Sprintf("the new value cannot be held by %s: %v", s.consumer(u).Location, err), Err: err}
			}
		}
	}
	return nil
}

// generate makes a value that is strong enough and that the stores can hold.
func (r *Rotator) generate(s Subject) (secret.Value, error) {
	for attempt := 1; ; attempt++ {
		v, err := secret.Generate(s.Secret.Generator, r.cfg.Rand)
		if err != nil {
			return v, &Fault{Sentence: fmt.Sprintf("no new value can be made: %v", err), Err: err}
		}
		if err := secret.CheckHMAC(v); err != nil {
			return v, &Fault{Sentence: fmt.Sprintf("the generator %s is too weak here: %v", s.Secret.Generator, err), Err: err}
		}
		if err = r.portable(s, v); err == nil {
			return v, nil
		}
		if attempt == 100 {
			return v, &Fault{Sentence: fmt.Sprintf("the generator %s makes no value that can be held everywhere: %v", s.Secret.Generator, err), Err: err}
		}
	}
}

// issuer answers who makes the values of a secret valid.
func (r *Rotator) issuer(s Subject) (issue.Issuer, error) {
	i, ok := r.cfg.Issuers[s.Secret.Procedure]
	if !ok {
		return nil, faultf("%s is rotated by the procedure %s, which this rekey does not know", s.Secret.Name, s.Secret.Procedure)
	}
	return i, nil
}

// order is what an issuer is told.
func (r *Rotator) order(s Subject, e store.Escrow) issue.Order {
	return issue.Order{
		Run: s.Run.ID, Secret: s.Secret, Place: s.Place, Environment: s.Environment,
		Compromised: s.compromised(), Old: e.Old, New: e.New, Still: s.Still,
	}
}
