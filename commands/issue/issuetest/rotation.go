package issuetest

import (
	"errors"
	"testing"

	"rekey/commands/issue"
	"rekey/commands/verify"
)

// rotation goes the whole way, each step twice.
func rotation(t *testing.T, d *desk, compromised bool) {
	o := d.order("r1", compromised)
	d.does(t, issue.Check, o)
	d.says(t, o, "the value in use", o.Old, verify.Accepted)
	d.says(t, o, "a made-up value", d.MadeUp, verify.Refused)
	o = d.started(t, "r1", compromised)
	d.valid(t, o, verify.Accepted, verify.Accepted)
	d.says(t, o, "a made-up value", d.MadeUp, verify.Refused)

	d.does(t, issue.Retire, o)
	d.valid(t, o, d.retired(), verify.Accepted)
	if d.NoRevive {
		d.refuses(t, issue.Revive, o)
	} else {
		d.does(t, issue.Revive, o)
		d.valid(t, o, verify.Accepted, verify.Accepted)
		d.does(t, issue.Retire, o)
		d.valid(t, o, d.retired(), verify.Accepted)
	}

	d.does(t, issue.Finish, o)
	d.valid(t, o, verify.Refused, verify.Accepted)
	d.does(t, issue.Finish, o)
	d.valid(t, o, verify.Refused, verify.Accepted)
	if !d.KeepsOld { // else there was nothing to take back
		d.tooLate(t, o)
	}
}

// tooLate: after Finish, Revive brings the old value back or says that it cannot. It
// must not claim what is not so.
func (d *desk) tooLate(t *testing.T, o issue.Order) {
	t.Helper()
	if err := d.act(t.Context(), d.Issuer, issue.Revive, o); err != nil {
		sentences(t, err)
		return
	}
	if d.Person != nil {
		d.Person(t, issue.Revive, o)
	}
	d.says(t, o, "the old value, said to be revived,", o.Old, verify.Accepted)
}

// refuses checks that a step cannot be done and says so definitely.
func (d *desk) refuses(t *testing.T, step issue.Step, o issue.Order) {
	t.Helper()
	err := d.act(t.Context(), d.Issuer, step, o)
	var fault *issue.Fault
	if !errors.As(err, &fault) {
		t.Errorf("%s: got error %v, want a *issue.Fault", step, err)
	}
	sentences(t, err)
}

// nextRotation: a credential that was rotated can be rotated again, and the value of
// the run before is then the one that a way back leads to.
func nextRotation(t *testing.T, d *desk) {
	first := d.started(t, "r1", false)
	d.does(t, issue.Retire, first)
	d.does(t, issue.Finish, first)

	second := d.order("r2", true)
	second.Old = first.New
	d.does(t, issue.Check, second)
	second.New = d.create(t, d.Issuer, second)
	if second.New.Equal(first.New) || second.New.Equal(first.Old) {
		t.Fatal("the second run's value is not new")
	}
	if d.Name != nil && d.Name(second.New) == d.Name(first.New) {
		t.Error("two runs named what they made alike")
	}
	d.does(t, issue.Set, second)
	d.valid(t, second, verify.Accepted, verify.Accepted)
	d.does(t, issue.Rollback, second)
	d.valid(t, second, verify.Accepted, verify.Refused)
	d.says(t, second, "the first run's old value", first.Old, verify.Refused)
}

// createIsRepeatable: a process that died before the value was kept is followed by one
// that asks again.
func createIsRepeatable(t *testing.T, d *desk) {
	o := d.order("r1", false)
	lost := d.create(t, d.Issuer, o)
	o.New = d.create(t, d.Another(), o)
	if d.Name != nil && d.Name(lost) != d.Name(o.New) {
		t.Error("one run named what it made in two ways, so one of them would stay behind")
	}
	d.does(t, issue.Set, o)
	d.valid(t, o, verify.Accepted, verify.Accepted)
	if !lost.Equal(o.New) && d.Bring == nil {
		d.says(t, o, "the value that was never kept", lost, verify.Refused)
	}
}

// twoProcessesAtOnce: whichever way two calls fall into each other, the next one finds
// its way.
func twoProcessesAtOnce(t *testing.T, d *desk) {
	o := d.order("r1", false)
	o.New = d.create(t, d.Issuer, o)
	for _, step := range []issue.Step{issue.Set, issue.Retire, issue.Finish} {
		type answer struct {
			note string
			err  error
		}
		answers := make(chan answer)
		for _, i := range []issue.Issuer{d.Issuer, d.Another()} {
			go func() {
				var a answer
				switch step {
				case issue.Set:
					a.note, a.err = i.Set(t.Context(), o)
				case issue.Retire:
					a.note, a.err = i.Retire(t.Context(), o)
				default:
					a.note, a.err = i.Finish(t.Context(), o)
				}
				answers <- a
			}()
		}
		for range 2 {
			a := <-answers
			d.hear(a.note, a.err)
		}
		d.does(t, step, o)
	}
	d.valid(t, o, verify.Refused, verify.Accepted)
}
