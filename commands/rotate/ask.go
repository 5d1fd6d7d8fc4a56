package rotate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/verify"
)

// checkWithin bounds the look at a service before anything is changed.
const checkWithin = 10 * time.Second

// test proves what one consumer runs on after its set step.
func (r *Rotator) test(ctx context.Context, s Subject, step ledger.Step) (Result, error) {
	u, ok := s.use(step.Consumer)
	if !ok {
		return Result{}, faultf("the catalogue no longer says that %s uses %s; put it back", step.Consumer, s.Secret.Name)
	}
	e, err := r.escrow(ctx, s)
	if err != nil {
		return Result{}, err
	}
	note, err := r.ask(ctx, s, u, step.Stage, e)
	if err != nil && step.Stage == StageRetire { // only those who overlap have such a step
		err = r.stillServing(ctx, s, u, e, err)
	}
	return Result{Note: note}, err
}

// prove tries the old value against every consumer. Only refusals count.
func (r *Rotator) prove(ctx context.Context, s Subject, step ledger.Step) (Result, error) {
	e, err := r.escrow(ctx, s)
	if err != nil {
		return Result{}, err
	}
	note, err := r.askAll(ctx, s, StageRetire, e)
	if err == nil && s.Secret.Procedure.Issued() {
		err = r.proveIssued(ctx, s, step, e)
	}
	if err == nil {
		note = join("The old value was tried and refused.", note)
	}
	return Result{Note: note}, err
}

// askAll asks every consumer at once and joins what they said.
func (r *Rotator) askAll(ctx context.Context, s Subject, stage string, e store.Escrow) (string, error) {
	notes := make([]string, len(s.Place.Uses))
	errs := make([]error, len(s.Place.Uses))
	var wg sync.WaitGroup
	for i, u := range s.Place.Uses {
		wg.Go(func() { notes[i], errs[i] = r.ask(ctx, s, u, stage, e) })
	}
	wg.Wait()
	for i := range errs {
		if errs[i] != nil {
			return notes[i], errs[i]
		}
	}
	return strings.Join(notes, " "), nil
}

// ask asks every worker of one consumer until all agree with what the stage calls
// for, or the time is up. The note is what was seen; a *Fault says what was not.
func (r *Rotator) ask(ctx context.Context, s Subject, u secret.Use, stage string, e store.Escrow) (string, error) {
	if err := askable(u); err != nil {
		return "", err
	}
	c := s.consumer(u)
	opts := verify.Options{Consumer: c.Name, Workers: c.Workers, Within: r.cfg.Within, Pause: r.cfg.Pause}
	if stage == "" { // nothing was changed yet, so nothing has to settle
		opts.Within = min(opts.Within, checkWithin)
	}
	type question struct {
		probers []verify.Prober
		exps    []verify.Expectation
	}
	var questions []question
	if accepts(u) {
		q := question{exps: accepting(u, stage, e)}
		for _, url := range u.Proof.Request.URLs {
			q.probers = append(q.probers, verify.NewSignedRequest(*u.Proof.Request, url, r.transport()))
		}
		questions = append(questions, q)
	}
	var notes []string
	switch {
	case u.Proof.Challenge != nil && shows(u):
		questions = append(questions, question{probers: r.challenge(u), exps: running(stage, e)})
	case uses(u):
		notes = append(notes, u.Consumer+" cannot be asked which value it runs on.")
	}
	for _, q := range questions {
		res := verify.Agree(ctx, q.probers, q.exps, opts)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		notes = append(notes, res.Detail)
		if res.Outcome != verify.Passed {
			return strings.Join(notes, " "), &Fault{Sentence: res.Detail}
		}
	}
	if c.Health != "" {
		res := verify.Health(ctx, c.Name, c.Health, r.transport(), opts)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if res.Outcome != verify.Passed {
			return res.Detail, &Fault{Sentence: res.Detail}
		}
	}
	return strings.Join(notes, " "), nil
}

// challenge answers who can be asked which value a service works with.
func (r *Rotator) challenge(u secret.Use) []verify.Prober {
	c := u.Proof.Challenge
	if len(c.Command) > 0 {
		return []verify.Prober{verify.NewCommand(c.Command, c.Timeout)}
	}
	var probers []verify.Prober
	for _, url := range c.URLs {
		probers = append(probers, verify.NewChallenge(url, r.transport()))
	}
	return probers
}

// askable refuses a use whose proof does not cover what the service does: what cannot
// be asked is unknown, and unknown is no proof.
func askable(u secret.Use) error {
	switch {
	case accepts(u) && u.Proof.Request == nil:
		return faultf("%s cannot be asked which values it accepts: its proof in the catalogue has no request; nothing else shows that the old value is dead", u.Consumer)
	case signs(u) && u.Proof.Challenge == nil:
		return faultf("%s cannot be asked which value it signs with: its proof in the catalogue has no challenge; nothing else shows that it has left the old value", u.Consumer)
	}
	return nil
}

// stillServing marks a failed retirement that needs no way back: the service accepts
// the new value everywhere, it only does not refuse the old one yet.
func (r *Rotator) stillServing(ctx context.Context, s Subject, u secret.Use, e store.Escrow, cause error) error {
	var fault *Fault
	if !errors.As(cause, &fault) || !accepts(u) || u.Proof.Request == nil {
		return cause
	}
	c := s.consumer(u)
	var probers []verify.Prober
	for _, url := range u.Proof.Request.URLs {
		probers = append(probers, verify.NewSignedRequest(*u.Proof.Request, url, r.transport()))
	}
	res := verify.Agree(ctx, probers, []verify.Expectation{
		{Label: "new", Value: e.New, Want: verify.Accepted},
		{Label: "wrong", Value: verify.Wrong(), Want: verify.Refused},
	}, verify.Options{Consumer: c.Name, Workers: c.Workers, Within: r.cfg.Within / 3, Pause: r.cfg.Pause})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fault.Serving = res.Outcome == verify.Passed
	if fault.Serving {
		fault.Sentence += fmt.Sprintf(" %s serves the new value.", c.Name)
	}
	return fault
}

func (r *Rotator) transport() http.RoundTripper { return r.cfg.Transport }
