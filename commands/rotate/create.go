package rotate

import (
	"context"
	"fmt"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// create makes the new value and stores it, with the old one, beside the first
// consumer's copy. The guard knows it before it exists anywhere else.
func (r *Rotator) create(ctx context.Context, s Subject) (Result, error) {
	st, err := r.store(s)
	if err != nil {
		return Result{}, err
	}
	current, _, err := r.current(ctx, st, s)
	if err != nil {
		return Result{}, err
	}
	// The values of runs that failed are worthless by now: every service was just
	// proven to run on the present value.
	for _, run := range s.Ended {
		if err := st.Discard(ctx, s.home(), run); err != nil {
			return Result{}, placeFault(s.Place.Uses[0], err)
		}
	}
	fresh, err := r.generate(s, st)
	if err != nil {
		return Result{}, err
	}
	if fresh.Equal(current) {
		return Result{}, faultf("the generator %s made the present value again: the source of randomness is broken", s.Secret.Generator)
	}
	r.learn(s, "pending", fresh)
	kept, err := st.Deposit(ctx, s.home(), store.Escrow{Run: s.Run.ID, Old: current, New: fresh}, s.Still)
	if err != nil {
		if lost(err) {
			return Result{}, err
		}
		return Result{}, &Fault{Sentence: fmt.Sprintf("the new value cannot be kept beside %s: %v", s.home().File, err), Err: err}
	}
	r.learn(s, "pending", kept.New)
	fps := append(r.fingerprints(s, "pending", kept.New), r.fingerprints(s, "live", kept.Old)...)
	return Result{Note: "A new value was made with the generator " + string(s.Secret.Generator) + ".", Fingerprints: fps}, nil
}

// choosy is a store that cannot hold every value so that all its readers read the
// same.
type choosy interface {
	Portable(v secret.Value) error
}

// generate makes a value that is strong enough and that the store can hold.
func (r *Rotator) generate(s Subject, st store.Store) (secret.Value, error) {
	for attempt := 1; ; attempt++ {
		v, err := secret.Generate(s.Secret.Generator, r.cfg.Rand)
		if err != nil {
			return v, &Fault{Sentence: fmt.Sprintf("no new value can be made: %v", err), Err: err}
		}
		if err := secret.CheckHMAC(v); err != nil {
			return v, &Fault{Sentence: fmt.Sprintf("the generator %s is too weak here: %v", s.Secret.Generator, err), Err: err}
		}
		c, ok := st.(choosy)
		if !ok {
			return v, nil
		}
		if err = c.Portable(v); err == nil {
			return v, nil
		}
		if attempt == 100 {
			return v, &Fault{Sentence: fmt.Sprintf("the generator %s makes no value that %s can hold: %v", s.Secret.Generator, s.Secret.Store, err), Err: err}
		}
	}
}
