package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/store"
)

// Do performs one step. Every step may be performed again after a crash: it looks
// first and does only what is missing. A *Fault is a definite failure; any other
// error means that nothing is known to have failed (the run was taken over, the
// process is stopping).
func (r *Rotator) Do(ctx context.Context, s Subject, step ledger.Step) (Result, error) {
	res, err := r.do(ctx, s, step)
	var (
		fault *issue.Fault
		wait  *issue.Wait
	)
	switch {
	case ctx.Err() != nil && err != nil:
		return Result{}, context.Cause(ctx)
	case errors.As(err, &wait):
		return Result{Note: r.clean(wait.Sentence), Wait: r.again(wait.Again)}, nil
	case errors.As(err, &fault):
		return res, &Fault{Sentence: r.clean(fault.Sentence), Err: fault.Err}
	}
	return res, err
}

// again is when to look again at what an issuer asked to be waited for.
func (r *Rotator) again(after time.Duration) time.Time {
	if after <= 0 {
		after = 30 * time.Second
	}
	return r.cfg.Now().Add(min(after, r.cfg.Recheck))
}

func (r *Rotator) do(ctx context.Context, s Subject, step ledger.Step) (Result, error) {
	switch step.Kind {
	case KindCheck:
		return r.check(ctx, s, step)
	case KindCreate:
		return r.create(ctx, s)
	case KindSet:
		return r.set(ctx, s, step)
	case KindTest:
		return r.test(ctx, s, step)
	case KindVerify:
		return r.verify(ctx, s, step)
	case KindOverlap:
		return r.overlap(s, step), nil
	case KindDrain:
		return r.drain(ctx, s)
	case KindProve:
		return r.prove(ctx, s, step)
	case KindEvict, KindTidy:
		return r.sessions(ctx, s, step)
	case KindFinish:
		return r.finish(ctx, s, step)
	case KindIssue, KindTry, KindRevoke, KindReinstate, KindRemove, KindWithdraw:
		return r.atIssuer(ctx, s, step)
	}
	return Result{}, faultf("this rekey does not know the step %q; it was planned by another version", step.Key)
}

// check looks before anything is touched: every copy is readable and the same, and
// every service is well and proven to run on it. Before retiring it looks whether
// everybody still works with the new value.
func (r *Rotator) check(ctx context.Context, s Subject, step ledger.Step) (Result, error) {
	if step.Stage == StageRetire {
		e, err := r.escrow(ctx, s)
		if err != nil {
			return Result{}, err
		}
		note, err := r.askAll(ctx, s, StageSwitch, e)
		return Result{Note: note}, err
	}
	current, leftover, err := r.current(ctx, s)
	if err != nil {
		return Result{}, err
	}
	r.learn(s, "live", current)
	traps, err := r.look(ctx, s)
	if err != nil {
		return Result{}, err
	}
	note, err := r.askAll(ctx, s, "", store.Escrow{Old: current})
	if err != nil {
		return Result{Note: note}, err
	}
	if s.Secret.Procedure.Issued() {
		issuer, err := r.issuer(s)
		if err != nil {
			return Result{}, err
		}
		seen, err := issuer.Check(ctx, r.order(s, store.Escrow{Old: current}))
		if err != nil {
			return Result{Note: note}, err
		}
		note = join(note, r.clean(seen))
	}
	if len(leftover) > 0 {
		note = join(note, fmt.Sprintf("A second value was still accepted by %s; it ends now.", strings.Join(leftover, ", ")))
	}
	note = join(note, traps)
	if said, err := r.cost(ctx, s); err == nil {
		note = join(note, said)
	}
	return Result{Note: note, Fingerprints: r.fingerprints(s, "live", current)}, nil
}

// current finds the value in use: the one that everybody works with and everybody
// who accepts accepts. It names the consumers that accept another one beside it.
func (r *Rotator) current(ctx context.Context, s Subject) (current secret.Value, leftover []string, err error) {
	states := make([]store.State, len(s.Place.Uses))
	first := ""
	for i, u := range s.Place.Uses {
		st, err := r.store(s, u)
		if err != nil {
			return current, nil, err
		}
		if states[i], err = st.Read(ctx, s.ref(u)); err != nil {
			return current, nil, placeFault(u, err)
		}
		if !shows(u) {
			continue
		}
		if states[i].Current.IsZero() {
			return current, nil, faultf("%s has no value for %s; put the value in use there first", s.consumer(u).Location, u.Variable)
		}
		if !current.IsZero() && !states[i].Current.Equal(current) {
			return current, nil, faultf("%s and %s %s different values of %s; make them agree first", first, u.Consumer, manner(u, "sign with", "use"), s.Secret.Name)
		}
		current, first = states[i].Current, u.Consumer
	}
	for i, u := range s.Place.Uses {
		have := states[i]
		if !have.Current.Equal(current) && !have.Previous.Equal(current) {
			return current, nil, faultf("%s does not hold the value of %s that %s %s; make them agree first", s.consumer(u).Location, s.Secret.Name, first, manner(u, "signs with", "uses"))
		}
		if !have.Previous.IsZero() {
			leftover = append(leftover, u.Consumer)
		}
	}
	return current, leftover, nil
}

func manner(u secret.Use, shared, issued string) string {
	if uses(u) {
		return issued
	}
	return shared
}

// overlap waits until the secret's overlap has passed since the step began.
func (r *Rotator) overlap(s Subject, step ledger.Step) Result {
	if s.compromised() {
		return Result{Note: "The overlap was cut short: the secret is compromised."}
	}
	until := step.Started.Add(s.Secret.Overlap)
	if r.cfg.Now().Before(until) {
		return Result{Wait: until, Note: "Both values are valid until " + until.UTC().Format("2 Jan 15:04 MST") + "."}
	}
	return Result{Note: "The overlap is over."}
}

// forgetful is a store that keeps old versions of what it holds and can destroy those
// that hold a value.
type forgetful interface {
	Forget(ctx context.Context, ref store.Ref, dead secret.Value) error
}

// finish forgets the values of this run. After a rollback it is the new value that
// is dead, otherwise the old one.
func (r *Rotator) finish(ctx context.Context, s Subject, step ledger.Step) (Result, error) {
	home := s.home()
	st, err := r.store(s, home)
	if err != nil {
		return Result{}, err
	}
	e, err := st.Withdraw(ctx, s.ref(home), s.Run.ID)
	if errors.Is(err, store.ErrNotFound) {
		return Result{Note: "Nothing was left to forget."}, nil
	}
	if err != nil {
		return Result{}, placeFault(home, err)
	}
	if err := s.Still(ctx); err != nil {
		return Result{}, err
	}
	live, dead := e.New, e.Old
	if step.Stage == StageRollback {
		live, dead = e.Old, e.New
	}
	for _, u := range s.Place.Uses {
		st, err := r.store(s, u)
		if err != nil {
			return Result{}, err
		}
		if f, ok := st.(forgetful); ok {
			if err := f.Forget(ctx, s.ref(u), dead); err != nil {
				return Result{}, placeFault(u, err)
			}
		}
	}
	if err := st.Discard(ctx, s.ref(home), s.Run.ID); err != nil {
		return Result{}, placeFault(home, err)
	}
	fps := append(r.fingerprints(s, "live", live), r.fingerprints(s, "retired", dead)...)
	return Result{Note: "The values of this run are forgotten; fingerprints of the dead one stay on watch.", Fingerprints: fps}, nil
}

// escrow reads the values of the run.
func (r *Rotator) escrow(ctx context.Context, s Subject) (store.Escrow, error) {
	home := s.home()
	st, err := r.store(s, home)
	if err != nil {
		return store.Escrow{}, err
	}
	e, err := st.Withdraw(ctx, s.ref(home), s.Run.ID)
	if err != nil {
		if lost(err) {
			return store.Escrow{}, err
		}
		return store.Escrow{}, &Fault{Sentence: fmt.Sprintf("the values of this run cannot be read beside %s: %v", s.ref(home).Location, err), Err: err}
	}
	r.learn(s, "live", e.Old)
	r.learn(s, "pending", e.New)
	return e, nil
}

func (r *Rotator) learn(s Subject, role string, v secret.Value) {
	r.cfg.Guard.Add(r.fingerprints(s, role, v))
}

func (r *Rotator) fingerprints(s Subject, role string, v secret.Value) []ledger.Fingerprint {
	fps := secret.Fingerprints(r.cfg.Key, s.Secret.Name, s.Run.Environment, role, v)
	for i := range fps {
		fps[i].At = r.cfg.Now()
	}
	return fps
}

// clean takes out of somebody else's words what may not leave.
func (r *Rotator) clean(text string) string {
	return secret.MaskTokens(r.cfg.Guard.ScrubString(strings.TrimSpace(text)))
}

func join(sentences ...string) string {
	var out []string
	for _, s := range sentences {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

// placeFault says what is wrong with a consumer's copy; losing the run is no fault.
func placeFault(u secret.Use, err error) error {
	if lost(err) {
		return err
	}
	return &Fault{Sentence: fmt.Sprintf("the copy of %s: %v", u.Consumer, err), Err: err}
}

func lost(err error) bool {
	return errors.Is(err, ledger.ErrFenced) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
