// Package issuetest is the contract every issuer of credentials must keep, as tests. It
// exists because the rotation engine rests on that contract alone: that a step may be
// repeated after a crash, that the way back leads back, and that nobody is locked out
// between two steps, must hold whoever gives the credential out.
package issuetest

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/storetest"
	"rekey/commands/verify"
)

// Desk is one party that gives out credentials, fresh for one test, with an issuer for
// it.
type Desk struct {
	Issuer issue.Issuer
	// Another answers a second Issuer for the same party, as another process has.
	Another func() issue.Issuer
	// Order answers what a run is asked with: Old is the value in use when the Desk was
	// made, which works; New is zero; Still and Compromised are left to the suite.
	Order func(run string) issue.Order
	// MadeUp has the form of a value and was never given out.
	MadeUp secret.Value
	// Touched answers a text that changes whenever anything changes at the party that a
	// rotation is about: its credentials, not its logs or its counters.
	Touched func(t *testing.T) string
	// Name answers what New is called at the party, without its secret part; nil where
	// it has no name. It must not change when a run makes its value again.
	Name func(v secret.Value) string

	// Person does what a person does at the party in a step that an issuer can only ask
	// for; nil where no people are needed. It is called after each step, whatever the
	// step answered, and the step is then repeated.
	Person func(t *testing.T, step issue.Step, o issue.Order)
	// Bring answers a new value that a person made at the party; nil where Create
	// answers it.
	Bring func(t *testing.T, o issue.Order) secret.Value
	// KeepsOld: Retire cannot stop the old value, which works until Finish.
	KeepsOld bool
	// NoRevive: Retire cannot be taken back, and Revive says so with a *issue.Fault.
	NoRevive bool
}

// Harness makes a Desk. It is called from parallel tests.
type Harness func(t *testing.T) Desk

// patience bounds how long an answer may stay unknown.
const patience = 30 * time.Second

var errLost = errors.New("the run was taken over")

// Run holds issuers made by h to the contract.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, d *desk){
		"ARoutineRotation":             func(t *testing.T, d *desk) { rotation(t, d, false) },
		"ACompromisedRotation":         func(t *testing.T, d *desk) { rotation(t, d, true) },
		"TheNextRotation":              nextRotation,
		"LookingTouchesNothing":        lookingTouchesNothing,
		"CreateIsRepeatable":           createIsRepeatable,
		"RollbackAfterSet":             rollbackAfterSet,
		"RollbackAfterRetire":          rollbackAfterRetire,
		"RollbackWithoutANewValue":     rollbackWithoutANewValue,
		"RollbackOfNothing":            rollbackOfNothing,
		"ARunRolledBackCanBeRepeated":  rolledBackCanBeRepeated,
		"TwoProcessesAtOnce":           twoProcessesAtOnce,
		"AnEndedContextTouchesNothing": endedContextTouchesNothing,
		"ALostRunTouchesNothing":       lostRunTouchesNothing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &desk{Desk: h(t)}
			test(t, d)
			d.leaksNothing(t)
		})
	}
}

// desk is a Desk that remembers what was said, to look for leaks in the end.
type desk struct {
	Desk
	said   []any
	values []secret.Value
}

func (d *desk) hear(things ...any) { d.said = append(d.said, things...) }

// know adds a value to those that must not leak: a connection URL may be spoken of, its
// password may not.
func (d *desk) know(v secret.Value) {
	d.values = append(d.values, v)
	if u, err := url.Parse(v.Reveal()); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok {
			d.values = append(d.values, secret.NewValue(password))
		}
	}
}

func (d *desk) leaksNothing(t *testing.T) {
	t.Helper()
	d.know(d.MadeUp)
	d.know(d.Order("r1").Old)
	storetest.AssertLeaksNoSecret(t, d.values, d.said...)
}

// order answers what run r1 is asked with, its fence passing.
func (d *desk) order(run string, compromised bool) issue.Order {
	o := d.Order(run)
	o.Compromised = compromised
	o.Still = pass
	return o
}

func pass(context.Context) error { return nil }

// does runs a step twice, by two processes, and a person's part between.
func (d *desk) does(t *testing.T, step issue.Step, o issue.Order) {
	t.Helper()
	err := d.act(t.Context(), d.Issuer, step, o)
	var wait *issue.Wait
	if err != nil && (d.Person == nil || !errors.As(err, &wait)) {
		t.Fatalf("%s: %v", step, err)
	}
	if d.Person != nil {
		d.Person(t, step, o)
	}
	if err := d.act(t.Context(), d.Another(), step, o); err != nil {
		t.Fatalf("%s, repeated by another process: %v", step, err)
	}
}

// act runs a step once and looks at how it speaks.
func (d *desk) act(ctx context.Context, i issue.Issuer, step issue.Step, o issue.Order) error {
	var note string
	var err error
	switch step {
	case issue.Check:
		note, err = i.Check(ctx, o)
	case issue.Set:
		note, err = i.Set(ctx, o)
	case issue.Retire:
		note, err = i.Retire(ctx, o)
	case issue.Revive:
		note, err = i.Revive(ctx, o)
	case issue.Finish:
		note, err = i.Finish(ctx, o)
	case issue.Rollback:
		note, err = i.Rollback(ctx, o)
	default:
		panic("issuetest: no act " + step)
	}
	d.hear(note, err)
	return err
}

// create answers this run's new value.
func (d *desk) create(t *testing.T, i issue.Issuer, o issue.Order) secret.Value {
	t.Helper()
	v, note, err := i.Create(t.Context(), o)
	d.hear(note, err)
	if d.Bring != nil {
		var wait *issue.Wait
		if !errors.As(err, &wait) || wait.Sentence == "" {
			t.Fatalf("Create of a value that a person brings: %v, want a *issue.Wait that says what to do", err)
		}
		v, err = d.Bring(t, o), nil
	}
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if v.IsZero() || v.Equal(o.Old) {
		t.Fatal("Create answered no new value")
	}
	d.know(v)
	return v
}

// started is a run whose new value was created and set.
func (d *desk) started(t *testing.T, run string, compromised bool) issue.Order {
	t.Helper()
	o := d.order(run, compromised)
	o.New = d.create(t, d.Issuer, o)
	d.does(t, issue.Set, o)
	return o
}

// says checks what the party says to a value. Unknown is asked again: it tells nothing.
func (d *desk) says(t *testing.T, o issue.Order, what string, v secret.Value, want verify.Answer) {
	t.Helper()
	var got verify.Try
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		got = d.Another().Test(t.Context(), o, v)
		d.hear(got)
		if got.Answer != verify.Unknown {
			break
		}
	}
	if got.Answer != want {
		t.Errorf("%s is %s, want %s (%s)", what, word(got.Answer), word(want), got.Why)
	}
}

// valid checks both values of a run at once.
func (d *desk) valid(t *testing.T, o issue.Order, older, newer verify.Answer) {
	t.Helper()
	d.says(t, o, "the old value", o.Old, older)
	d.says(t, o, "the new value", o.New, newer)
}

// retired is what the old value answers after Retire.
func (d *desk) retired() verify.Answer {
	if d.KeepsOld {
		return verify.Accepted
	}
	return verify.Refused
}

// untouched checks that nothing changed at the party.
func (d *desk) untouched(t *testing.T, what, before string) {
	t.Helper()
	if after := d.Touched(t); after != before {
		t.Errorf("%s touched something", what)
		storetest.AssertLeaksNoSecret(t, d.values, after) // then it may be looked at
	}
}

// sentences checks that an error for people is one plain sentence.
func sentences(t *testing.T, err error) {
	t.Helper()
	var fault *issue.Fault
	var wait *issue.Wait
	var text string
	switch {
	case errors.As(err, &fault):
		text = fault.Sentence
	case errors.As(err, &wait):
		text = wait.Sentence
	default:
		return
	}
	if text == "" || len(text) > 600 || strings.ContainsAny(text, "\r\n\t") {
		t.Errorf("no sentence for people: %q", text)
	}
}

func word(a verify.Answer) string {
	return map[verify.Answer]string{verify.Accepted: "accepted", verify.Refused: "refused", verify.Unknown: "unknown"}[a]
}
