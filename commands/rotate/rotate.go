// Package rotate changes a secret without refusing one honest request. It plans the
// steps, performs each of them, and plans the way back when one fails or a person asks
// for it. It keeps no state: what was done is the journal's, the values are the store's
// and the issuer's, and every step can be performed again after a crash.
//
// There are two families of procedures. A shared value is held by services against each
// other; the order that measurements show to lose nothing is: publish the new value
// beside the old one wherever it is accepted and prove that every worker took it; let
// those who sign switch to it and prove that; only then retire the old one, and prove
// that it is dead by trying it. An issued value is valid because somebody else says so:
// the issuer makes a second one valid, those who use it switch, and the issuer revokes
// the first.
package rotate

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/store"
)

// Config is what a Rotator needs.
type Config struct {
	// Stores by the name the catalogue uses. Required.
	Stores map[string]store.Store
	// Issuers by the procedure they serve.
	Issuers map[secret.Procedure]issue.Issuer
	// Checks runs the verification checklist; nil where no place has one.
	Checks Checks
	// Look finds what would keep a service from taking up a new value; nil looks at nothing.
	Look Look
	// Transport carries the checks; nil means a plain transport. A connection of
	// its own is used for every question whatever it is.
	Transport http.RoundTripper
	// Guard learns every value before it can leave the process. Required.
	Guard *secret.Guard
	// Key makes fingerprints. Required.
	Key secret.Key
	// Within is how long a check may take until every worker agrees; 0 means 30 s.
	Within time.Duration
	// Pause lies between two rounds of questions; 0 means 100 ms.
	Pause time.Duration
	// Recheck is the longest pause between two looks at what a step waits for: a person,
	// a session, the last user of the old value; 0 means 1 min. An overlap is not looked
	// at before it is over.
	Recheck time.Duration
	// Glance is for how long a compromised run looks for uses of the old value, after
	// everybody was switched, where a log or a counter tells of them; 0 means 3 s.
	Glance time.Duration
	// Grace is how long it waits for a decision when callers of ours still use the old
	// value; 0 means 30 s.
	Grace time.Duration
	// Rand is where new values come from; nil means crypto/rand.
	Rand io.Reader
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Rotator performs steps. It is safe for concurrent use by different runs.
type Rotator struct{ cfg Config }

// New checks cfg and answers a Rotator.
func New(cfg Config) (*Rotator, error) {
	if len(cfg.Stores) == 0 || cfg.Guard == nil {
		return nil, fmt.Errorf("rotate: stores and an outbound guard are required")
	}
	if cfg.Within == 0 {
		cfg.Within = 30 * time.Second
	}
	if cfg.Pause == 0 {
		cfg.Pause = 100 * time.Millisecond
	}
	if cfg.Recheck == 0 {
		cfg.Recheck = time.Minute
	}
	if cfg.Glance == 0 {
		cfg.Glance = 3 * time.Second
	}
	if cfg.Grace == 0 {
		cfg.Grace = 30 * time.Second
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Rotator{cfg: cfg}, nil
}

// Subject is what is rotated, by whom, under which claim.
type Subject struct {
	Run         ledger.Run
	Secret      secret.Secret
	Place       secret.Place
	Environment secret.Environment
	// Still answers nil while the run is ours; see store.Fence.
	Still store.Fence
	// Ended are runs of the same secret that ended badly and may have left values
	// beside the first consumer's copy.
	Ended []string
	// Switched is when the last consumer was proven to run on the new value; zero
	// before that.
	Switched time.Time
	// Asked is when rekey itself last asked services with the old value; zero for never.
	Asked time.Time
}

// NewSubject looks up everything a run needs in the catalogue.
func NewSubject(cat *secret.Catalogue, run ledger.Run, still store.Fence) (Subject, error) {
	env, ok := cat.Environment(run.Environment)
	if !ok {
		return Subject{}, faultf("the catalogue no longer has the environment %s; put it back and run the command again", run.Environment)
	}
	sec, ok := cat.Secret(run.Secret)
	if !ok {
		return Subject{}, faultf("the catalogue no longer has the secret %s; put it back and run the command again", run.Secret)
	}
	place, ok := cat.Place(run.Secret, run.Environment)
	if !ok {
		return Subject{}, faultf("the catalogue no longer has %s in %s; put it back and run the command again", run.Secret, run.Environment)
	}
	return Subject{Run: run, Secret: sec, Place: place, Environment: env, Still: still}, nil
}

// compromised reports that the old value must die as soon as that is safe.
func (s Subject) compromised() bool { return s.Run.Mode == string(commands.Compromised) }

// Result is what performing a step brought.
type Result struct {
	// Note says what was seen, for people.
	Note string
	// Fingerprints are to be recorded with the step's result.
	Fingerprints []ledger.Fingerprint
	// Wait, when set, asks for the step to be performed again at that time.
	Wait time.Time
	// Respite, when set, is to be kept with the run: what became of the decision about
	// the end of the old value.
	Respite *commands.Respite
}

// Fault is a step that definitely failed. Its text is one plain sentence for people
// and holds no value.
type Fault struct {
	Sentence string
	// Serving reports that the estate serves honest traffic as it is, so that going
	// back would gain nothing.
	Serving bool
	Err     error
}

// Error is the sentence.
func (f *Fault) Error() string { return f.Sentence }

// Unwrap answers the cause, for the process's own log.
func (f *Fault) Unwrap() error { return f.Err }

func faultf(format string, args ...any) *Fault {
	return &Fault{Sentence: fmt.Sprintf(format, args...)}
}

// accepts, signs and uses say what a consumer does with the value.
func accepts(u secret.Use) bool { return u.Role == secret.Accepts || u.Role == secret.Both }
func signs(u secret.Use) bool   { return u.Role == secret.Signs || u.Role == secret.Both }
func uses(u secret.Use) bool    { return u.Role == secret.Uses }

// overlaps reports that a consumer can accept two values at once. One that accepts and
// cannot changes over when it is switched.
func overlaps(u secret.Use) bool { return accepts(u) && u.Previous != "" }

// shows reports that a consumer has one value that it works with towards others.
func shows(u secret.Use) bool { return signs(u) || uses(u) }

// consumer answers the service behind a use.
func (s Subject) consumer(u secret.Use) secret.Consumer {
	i := slices.IndexFunc(s.Environment.Consumers, func(c secret.Consumer) bool { return c.Name == u.Consumer })
	return s.Environment.Consumers[i]
}

// use answers the use by the consumer of that name.
func (s Subject) use(name string) (secret.Use, bool) {
	i := slices.IndexFunc(s.Place.Uses, func(u secret.Use) bool { return u.Consumer == name })
	if i < 0 {
		return secret.Use{}, false
	}
	return s.Place.Uses[i], true
}

// ref names a consumer's copy of the value.
func (s Subject) ref(u secret.Use) store.Ref {
	return store.Ref{Location: s.consumer(u).Location, Variable: u.Variable, Previous: u.Previous}
}

// home is the use beside whose copy the run's values are kept: the first that accepts,
// or the first.
func (s Subject) home() secret.Use {
	i := slices.IndexFunc(s.Place.Uses, accepts)
	return s.Place.Uses[max(i, 0)]
}

// store answers the store that holds a use's copy.
func (r *Rotator) store(s Subject, u secret.Use) (store.Store, error) {
	name := s.consumer(u).Store
	st, ok := r.cfg.Stores[name]
	if !ok {
		return nil, faultf("%s reads %s from the store %q, which this rekey does not know", u.Consumer, s.Secret.Name, name)
	}
	return st, nil
}

// Sweep makes it impossible for an earlier owner of the run to change anything any
// more. Call it once after each claim, before anything else.
func (r *Rotator) Sweep(ctx context.Context, s Subject) error {
	for _, u := range s.Place.Uses {
		st, err := r.store(s, u)
		if err != nil {
			return err
		}
		if err := st.Sweep(ctx, s.ref(u), s.Run.ID, s.Run.Fence); err != nil {
			if lost(err) {
				return err
			}
			return &Fault{Sentence: fmt.Sprintf("what an earlier attempt prepared beside the copy of %s cannot be cleaned up: %v", u.Consumer, err), Err: err}
		}
	}
	return nil
}
