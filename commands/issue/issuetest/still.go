package issuetest

import (
	"context"
	"errors"
	"testing"

	"rekey/commands/issue"
	"rekey/commands/verify"
)

// acts are the steps that change something.
var acts = []issue.Step{issue.Set, issue.Retire, issue.Revive, issue.Finish, issue.Rollback}

// steps are all there are.
var steps = []issue.Step{
	issue.Check, issue.Create, issue.Set, issue.Test, issue.Retire, issue.Revive, issue.Finish, issue.Rollback,
}

// lookingTouchesNothing: Check, Test, Usage and Plan look.
func lookingTouchesNothing(t *testing.T, d *desk) {
	before := d.Touched(t)
	o := d.order("r1", false)
	d.does(t, issue.Check, o)
	d.says(t, o, "the value in use", o.Old, verify.Accepted)
	d.says(t, o, "a made-up value", d.MadeUp, verify.Refused)
	d.usage(t, o)
	d.plans(t, o)
	d.untouched(t, "looking", before)

	o = d.started(t, "r1", false)
	before = d.Touched(t)
	d.does(t, issue.Check, o)
	d.valid(t, o, verify.Accepted, verify.Accepted)
	d.usage(t, o)
	d.plans(t, o)
	d.untouched(t, "looking in the middle of a run", before)
}

// usage checks that it is known who uses a value, or said that it cannot be.
func (d *desk) usage(t *testing.T, o issue.Order) {
	t.Helper()
	u, err := d.Issuer.Usage(t.Context(), o)
	d.hear(u, err)
	if err != nil && !errors.Is(err, issue.ErrCannotTell) {
		t.Errorf("Usage: %v, want who uses it or issue.ErrCannotTell", err)
	}
}

// plans checks that a dry run is told something. Each line is looked through for values
// in the end.
func (d *desk) plans(t *testing.T, o issue.Order) {
	t.Helper()
	lines := 0
	for _, step := range steps {
		plan := d.Issuer.Plan(o, step)
		for _, line := range plan {
			if line == "" {
				t.Errorf("the plan of %s has an empty line", step)
			}
		}
		lines += len(plan)
		d.hear(plan)
	}
	if lines == 0 {
		t.Error("a dry run is told nothing at all")
	}
}

// endedContextTouchesNothing: a process that shuts down leaves no half step, and does
// not take its own end for a failure of the party.
func endedContextTouchesNothing(t *testing.T, d *desk) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	o := d.order("r1", false)
	before := d.Touched(t)
	if _, note, err := d.Issuer.Create(ended, o); true {
		d.hear(note, err)
		d.notBlamed(t, issue.Create, err)
	}
	d.untouched(t, "Create under an ended context", before)

	o = d.started(t, "r1", false)
	before = d.Touched(t)
	for _, step := range append([]issue.Step{issue.Check}, acts...) {
		d.notBlamed(t, step, d.act(ended, d.Issuer, step, o))
		d.untouched(t, string(step)+" under an ended context", before)
	}
	try := d.Issuer.Test(ended, o, o.New)
	d.hear(try)
	if try.Answer != verify.Unknown {
		t.Errorf("a test that was never made is %s", word(try.Answer))
	}
	d.valid(t, o, verify.Accepted, verify.Accepted)
}

// notBlamed: an ended context is no definite failure.
func (d *desk) notBlamed(t *testing.T, step issue.Step, err error) {
	t.Helper()
	var fault *issue.Fault
	if errors.As(err, &fault) && !(d.NoRevive && step == issue.Revive) {
		t.Errorf("%s under an ended context is taken for a failure: %v", step, err)
	}
}

// lostRunTouchesNothing: a process that was taken for dead asks before it acts. What it
// does without asking must be harmless.
func lostRunTouchesNothing(t *testing.T, d *desk) {
	o := d.started(t, "r1", false)
	before := d.Touched(t)
	for _, step := range acts {
		asked := false
		o.Still = func(context.Context) error { asked = true; return errLost }
		err := d.act(t.Context(), d.Issuer, step, o)
		if !asked {
			continue
		}
		if !errors.Is(err, errLost) {
			t.Errorf("%s of a lost run: got error %v, want the fence's", step, err)
		}
		d.untouched(t, string(step)+" of a lost run", before)
	}
}
