package rotate

import (
	"fmt"
	"slices"
	"time"

	"rekey/audit/ledger"
	"rekey/commands"
)

// gain is the least that putting the end off must gain. Two people who click in the same
// minute mean the same ten minutes.
const gain = time.Minute

// Choice answers what becomes of the decision at which a run stands when by chooses at
// that time to hold or to kill, and the step at which it stands. It also holds for a
// run that was just about to go on: what a person was promised counts for as long as
// nothing was begun that ends the old value. A *Fault says why there is nothing to
// choose; its text begins small and follows "because" or a colon.
func Choice(run ledger.Run, steps []ledger.Step, wish ledger.Wish, by string, at time.Time) (commands.Respite, ledger.Step, error) {
	d := commands.ReadRespite(run.Memo)
	i := slices.IndexFunc(steps, func(s ledger.Step) bool { return s.Kind == KindDrain })
	if why := noChoice(run, steps, d, i); why != "" {
		return d, ledger.Step{}, &Fault{Sentence: why}
	}
	switch {
	case wish == ledger.WishKill && !d.Open, d.Open && d.Kill:
		return d, steps[i], faultf("it is being ended now.")
	case wish == ledger.WishKill:
		d.Kill = true
	case d.Times >= commands.MaxHolds:
		return d, steps[i], faultf("its end was put off %d times already, which is the most; it ends at %s.", d.Times, clock(d.Until))
	case at.Add(commands.HoldFor - gain).Before(d.Until):
		return d, steps[i], faultf("%s has just put its end off until %s (%d of %d).", commands.NameOf(d.By), clock(d.Until), d.Times, commands.MaxHolds)
	default:
		d.Until, d.Times = at.Add(commands.HoldFor), d.Times+1
	}
	d.Open, d.By, d.SeenAt = true, by, time.Time{}
	return d, steps[i], nil
}

// noChoice says why a run does not stand at a decision; drain is the index of the step at
// which it would.
func noChoice(run ledger.Run, steps []ledger.Step, d commands.Respite, drain int) string {
	name := run.Secret
	const early = "it has not come to the end of the old value yet, and stops there by itself where somebody of ours still uses it."
	switch {
	case run.Kind != ledger.KindRotate:
		return "it is no rotation, so it ends no value."
	case run.State == ledger.Succeeded:
		return "it has ended, and the old value with it."
	case run.State == ledger.RolledBack:
		return "it went back: the old value is in use again. To end it, rotate again: /rotate " + name + " compromised"
	case run.State == ledger.Failed:
		return "it has failed and changes nothing more by itself; /rotate status " + run.ID + " shows where."
	case run.State == ledger.RollingBack || run.Asked == ledger.WishRollback:
		return "it is on its way back to the old value."
	case run.Mode != string(commands.Compromised):
		return "it is routine, and ends the old value when its overlap is over and nobody uses it. If it has leaked, type: /rotate " + name + " compromised"
	case len(steps) == 0:
		return early
	case drain < 0:
		return "nothing tells who still uses the old value, so it does not stop to ask; the old value ends as soon as that is safe."
	case slices.ContainsFunc(steps[drain+1:], func(s ledger.Step) bool { return s.State != ledger.StepPending }):
		return "it is too late: the old value is being ended."
	case !d.Until.IsZero():
		return ""
	case steps[drain].State == ledger.StepDone:
		return "nobody of ours was seen using the old value, so it ends without asking."
	}
	return early
}

// question is what a person reads of a run that stands, with what to type.
func question(run string, d commands.Respite) string {
	q := d.Cost() + " Type /rotate kill " + run + " to end it now"
	if d.Times < commands.MaxHolds {
		q += fmt.Sprintf(", or /rotate hold %s for %d more minutes", run, int(commands.HoldFor.Minutes()))
	}
	return q + "."
}
