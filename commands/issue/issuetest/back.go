package issuetest

import (
	"testing"

	"rekey/commands/issue"
	"rekey/commands/verify"
)

func rollbackAfterSet(t *testing.T, d *desk) {
	before := d.Touched(t)
	o := d.started(t, "r1", false)
	d.does(t, issue.Rollback, o)
	d.valid(t, o, verify.Accepted, verify.Refused)
	d.does(t, issue.Rollback, o)
	d.valid(t, o, verify.Accepted, verify.Refused)
	d.untouched(t, "a run that was rolled back", before)
}

func rollbackAfterRetire(t *testing.T, d *desk) {
	o := d.started(t, "r1", true)
	d.does(t, issue.Retire, o)
	if d.NoRevive {
		return // then there is no way back from here, which ARoutineRotation looks at
	}
	d.does(t, issue.Revive, o)
	d.does(t, issue.Rollback, o)
	d.valid(t, o, verify.Accepted, verify.Refused)
}

// rollbackWithoutANewValue: the process died between Create and the keeping of its
// value, so nobody knows the value, and what it made must go all the same.
func rollbackWithoutANewValue(t *testing.T, d *desk) {
	before := d.Touched(t)
	o := d.order("r1", false)
	made := d.create(t, d.Issuer, o)
	if d.Person != nil {
		o.New = made // only a person knows what to remove
	}
	d.does(t, issue.Rollback, o)
	d.says(t, o, "the value that nobody kept", made, verify.Refused)
	d.says(t, o, "the value in use", o.Old, verify.Accepted)
	d.untouched(t, "a run that was rolled back", before)
}

func rollbackOfNothing(t *testing.T, d *desk) {
	before := d.Touched(t)
	o := d.order("r1", false)
	for range 2 {
		err := d.act(t.Context(), d.Issuer, issue.Rollback, o)
		sentences(t, err)
		if err != nil && d.Person == nil {
			t.Errorf("Rollback of a run that made nothing: %v", err)
		}
	}
	d.says(t, o, "the value in use", o.Old, verify.Accepted)
	d.untouched(t, "rolling nothing back", before)
}

// rolledBackCanBeRepeated: what a way back leaves behind must not stand in the way of
// the next run.
func rolledBackCanBeRepeated(t *testing.T, d *desk) {
	first := d.started(t, "r1", false)
	d.does(t, issue.Rollback, first)
	o := d.started(t, "r2", false)
	d.valid(t, o, verify.Accepted, verify.Accepted)
	d.does(t, issue.Retire, o)
	d.does(t, issue.Finish, o)
	d.valid(t, o, verify.Refused, verify.Accepted)
	if !first.New.Equal(o.New) {
		d.says(t, o, "the value that was rolled back", first.New, verify.Refused)
	}
}
