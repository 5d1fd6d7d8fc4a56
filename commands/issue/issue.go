// Package issue is the other side of a credential: the party that makes a value valid
// and can make it invalid again, such as a database server or a mail provider. Each
// kind of issuer is a package of its own; package issuetest holds the contract all
// pass. It exists so that one rotation engine serves them all.
//
// The words are AWS's: create answers a new value, set makes it valid beside the old
// one, test tries it, finish removes the old one. Retire lies between: it stops the old
// value from working in a way that Revive can take back.
package issue

import (
	"context"
	"fmt"
	"time"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/verify"
)

// Order is what is asked of an issuer. Old is the value in use, New the one of this
// run; New is zero in Check and Create.
type Order struct {
	Run         string // names what Set makes, so that a repeated call finds it
	Secret      secret.Secret
	Place       secret.Place
	Environment secret.Environment
	Compromised bool
	Old, New    secret.Value
	// Still answers nil while the run is ours. Ask it right before an act that cannot be
	// repeated harmlessly by a process that was taken for dead.
	Still store.Fence
}

// Issuer gives out and revokes one kind of credential. Every method may be called
// again after a crash: it looks first and does only what is missing. Methods are safe
// for concurrent use and honour ctx; no text they answer holds a value. Notes and the
// sentences of errors are for people. A *Fault is a definite failure, a *Wait asks for
// patience; other errors mean that nothing is known to have failed.
type Issuer interface {
	// Check looks, before anything is touched, whether the old value works and whether
	// everything that will be needed may be done.
	Check(ctx context.Context, o Order) (note string, err error)
	// Create answers the new value. What it made elsewhere is named after o.Run, so that
	// it is found again. It may answer another value each time until one was kept.
	Create(ctx context.Context, o Order) (v secret.Value, note string, err error)
	// Set makes o.New valid beside o.Old.
	Set(ctx context.Context, o Order) (note string, err error)
	// Test tries one value where it counts, o.Old, o.New or another. Accepted means that
	// it does everything the application needs; Refused that the issuer turned it away.
	Test(ctx context.Context, o Order, v secret.Value) verify.Try
	// Usage tells who still uses o.Old. ErrCannotTell when nobody can know.
	Usage(ctx context.Context, o Order) (Usage, error)
	// Retire stops o.Old from working and ends what was opened with it.
	Retire(ctx context.Context, o Order) (note string, err error)
	// Revive takes Retire back. A *Fault when it is too late.
	Revive(ctx context.Context, o Order) (note string, err error)
	// Finish removes o.Old for good.
	Finish(ctx context.Context, o Order) (note string, err error)
	// Rollback makes o.New invalid and removes what Create and Set made, also where New
	// is zero because nothing was kept.
	Rollback(ctx context.Context, o Order) (note string, err error)
	// Plan names, for a dry run, every call it would make for a step of the kinds Steps
	// lists, in plain words. It touches nothing.
	Plan(o Order, step Step) []string
}

// Step names a method of an Issuer.
type Step string

// The steps.
const (
	Check    Step = "check"
	Create   Step = "create"
	Set      Step = "set"
	Test     Step = "test"
	Retire   Step = "retire"
	Revive   Step = "revive"
	Finish   Step = "finish"
	Rollback Step = "rollback"
)

// Usage is who used the old value lately. Its zero value means nobody.
type Usage struct {
	// Users names them, most active first: "10.0.0.7 (gunicorn, 3 sessions)".
	Users []string
	// PerMinute is how often it was used, where that can be measured; else 0.
	PerMinute float64
	// Callers are the same users apart, where they can be told apart.
	Callers []Caller
	// Since is when the last use was seen; zero when unknown.
	Since time.Time
}

// Caller is one user of a value.
type Caller struct {
	Name      string    // as the source has it: an address, a program
	Says      string    // as in Usage.Users
	PerMinute float64   // as in Usage
	Last      time.Time // when it was last seen; zero when unknown
}

// Any reports that somebody uses it.
func (u Usage) Any() bool { return len(u.Users) > 0 || u.PerMinute > 0 }

// ErrCannotTell reports that the issuer has no way to know who uses a value.
var ErrCannotTell = fmt.Errorf("nothing tells who still uses the old value")

// Fault is a step that definitely failed. Its text is one plain sentence for people.
type Fault struct {
	Sentence string
	Err      error // the cause, for the process's own log; holds no value
}

// Error is the sentence.
func (f *Fault) Error() string { return f.Sentence }

// Unwrap answers the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Faultf answers a Fault without a cause.
func Faultf(format string, args ...any) *Fault {
	return &Fault{Sentence: fmt.Sprintf(format, args...)}
}

// Wait asks for a step to be tried again later: a person or a session has to come or
// go first. Its text is one plain sentence that says what is waited for.
type Wait struct {
	Sentence string
	Again    time.Duration // from now; 0 means 30 s
}

// Error is the sentence.
func (w *Wait) Error() string { return w.Sentence }
