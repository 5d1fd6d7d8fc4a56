package rotate

import (
	"context"
	"strings"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/issue"
	"rekey/commands/secret"
)

// Checks looks at the estate around a secret; package checklist, usage and sessions
// do the looking.
type Checks interface {
	// Run goes through the place's checklist with the value that is live. Failed holds a
	// plain sentence for each line that did not pass, seen one for each that did.
	Run(ctx context.Context, s Subject, live secret.Value, since time.Time) (seen, failed []string)
	// Usage tells who used the old value since then.
	Usage(ctx context.Context, sources []secret.UsageSource, since time.Time) (issue.Usage, error)
	// Count says what would end with the old value: "120 sessions".
	Count(ctx context.Context, m *secret.Sessions) (string, error)
	// End and Tidy run the place's commands; the note is what they said.
	End(ctx context.Context, m *secret.Sessions) (note string, err error)
	Tidy(ctx context.Context, m *secret.Sessions) (note string, err error)
}

// Look finds what would keep a consumer from taking up new values of variables. What
// refuses must be settled before a rotation, what warns is said.
type Look func(ctx context.Context, c secret.Consumer, variables []string) (refuses, warns []string)

// verify goes through the checklist. It asks for what must hold with the value that
// is live in the stage.
func (r *Rotator) verify(ctx context.Context, s Subject, step ledger.Step) (Result, error) {
	if r.cfg.Checks == nil {
		return Result{}, faultf("this rekey cannot go through a verification checklist")
	}
	e, err := r.escrow(ctx, s)
	if err != nil {
		return Result{}, err
	}
	live := e.New
	if step.Stage == StageRollback {
		live = e.Old
	}
	since := s.Switched
	if since.IsZero() {
		since = s.Run.StartedAt
	}
	seen, failed := r.cfg.Checks.Run(ctx, s, live, since)
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	note := r.clean(strings.Join(append(append([]string{}, failed...), seen...), " "))
	if len(failed) > 0 {
		return Result{Note: note}, faultf("%s", r.clean(strings.Join(failed, " ")))
	}
	return Result{Note: note}, nil
}

// sessions ends or clears what the old value has minted.
func (r *Rotator) sessions(ctx context.Context, s Subject, step ledger.Step) (Result, error) {
	m := s.Place.Sessions
	if m == nil || r.cfg.Checks == nil {
		return Result{}, faultf("the catalogue no longer says how the sessions of %s end; put it back", s.Secret.Name)
	}
	if err := s.Still(ctx); err != nil {
		return Result{}, err
	}
	act := r.cfg.Checks.Tidy
	if step.Kind == KindEvict {
		act = r.cfg.Checks.End
	}
	note, err := act(ctx, m)
	if err != nil {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		return Result{}, &Fault{Sentence: r.clean(err.Error()), Err: err}
	}
	return Result{Note: r.clean(note)}, nil
}

// cost says what a rotation ends besides the value.
func (r *Rotator) cost(ctx context.Context, s Subject) (string, error) {
	m := s.Place.Sessions
	if m == nil || len(m.Count) == 0 || r.cfg.Checks == nil {
		return "", nil
	}
	said, err := r.cfg.Checks.Count(ctx, m)
	return r.clean(said), err
}

// Cost says what rotating the secret in the subject's mode ends, in one sentence for
// the person who is about to ask for it; "" when nothing is known to end.
func (r *Rotator) Cost(ctx context.Context, s Subject) (string, error) {
	ends := s.compromised()
	for _, u := range s.Place.Uses {
		ends = ends || signs(u) && accepts(u) && u.Previous == ""
	}
	if !ends {
		return "", nil
	}
	return r.cost(ctx, s)
}

// look asks for what would keep a service from taking up the new value.
func (r *Rotator) look(ctx context.Context, s Subject) (string, error) {
	if r.cfg.Look == nil {
		return "", nil
	}
	var said []string
	for _, u := range s.Place.Uses {
		variables := []string{u.Variable}
		if u.Previous != "" {
			variables = append(variables, u.Previous)
		}
		refuses, warns := r.cfg.Look(ctx, s.consumer(u), variables)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if len(refuses) > 0 {
			return "", faultf("%s", r.clean(strings.Join(refuses, " ")))
		}
		said = append(said, warns...)
	}
	return r.clean(strings.Join(said, " ")), nil
}
