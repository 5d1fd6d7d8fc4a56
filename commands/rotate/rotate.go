// Package rotate changes a secret that several services share without refusing one
// honest request. It plans the steps, performs each of them, and plans the way back
// when one fails. It keeps no state: what was done is the journal's, the values are
// the store's, and every step can be performed again after a crash.
//
// The order is the one that measurements show to lose nothing: publish the new
// value beside the old one wherever it is accepted and prove that every worker took
// it; let those who sign switch to it and prove that; only then retire the old one,
// and prove that it is dead by trying it.
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
	"rekey/commands/secret"
	"rekey/commands/store"
)

// The kinds of step.
const (
	KindCheck   = "check"   // look before anything is touched
	KindCreate  = "create"  // make the new value
	KindSet     = "set"     // write one consumer's copy and reload it
	KindTest    = "test"    // prove what one consumer runs on
	KindOverlap = "overlap" // wait while both values are valid
	KindProve   = "prove"   // try the old value against every consumer
	KindFinish  = "finish"  // forget the values of this run
)

// The stages of a rotation, and of the ways back.
const (
	StagePublish  = "publish"  // new value accepted everywhere beside the old one
	StageSwitch   = "switch"   // new value signed with
	StageRetire   = "retire"   // old value gone
	StageUnswitch = "unswitch" // old value signed with again, both still accepted
	StageRollback = "rollback" // old value accepted alone, new one gone
	StageRestore  = "restore"  // old value accepted again beside the new one
)

// Config is what a Rotator needs.
type Config struct {
	// Stores by the name the catalogue uses. Required.
	Stores map[string]store.Store
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

// Result is what performing a step brought.
type Result struct {
	// Note says what was seen, for people.
	Note string
	// Fingerprints are to be recorded with the step's result.
	Fingerprints []ledger.Fingerprint
	// Wait, when set, asks for the step to be performed again at that time.
	Wait time.Time
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

// accepts and signs say what a use of a secret does with it.
func accepts(u secret.Use) bool { return u.Role == secret.Accepts || u.Role == secret.Both }
func signs(u secret.Use) bool   { return u.Role == secret.Signs || u.Role == secret.Both }

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
	return store.Ref{File: s.consumer(u).EnvFile, Variable: u.Variable, Previous: u.Previous}
}

// home is the copy beside which the run's values are kept: the first consumer's that
// accepts.
func (s Subject) home() store.Ref {
	i := slices.IndexFunc(s.Place.Uses, accepts)
	return s.ref(s.Place.Uses[max(i, 0)])
}

func (r *Rotator) store(s Subject) (store.Store, error) {
	st, ok := r.cfg.Stores[s.Secret.Store]
	if !ok {
		return nil, faultf("the catalogue keeps %s in the store %q, which this rekey does not know", s.Secret.Name, s.Secret.Store)
	}
	return st, nil
}

// Sweep makes it impossible for an earlier owner of the run to change anything any
// more. Call it once after each claim, before anything else.
func (r *Rotator) Sweep(ctx context.Context, s Subject) error {
	st, err := r.store(s)
	if err != nil {
		return err
	}
	for _, u := range s.Place.Uses {
		if err := st.Sweep(ctx, s.ref(u), s.Run.ID, s.Run.Fence); err != nil {
			return &Fault{Sentence: fmt.Sprintf("the folder of %s's env file cannot be cleaned up: %v", u.Consumer, err), Err: err}
		}
	}
	return nil
}
