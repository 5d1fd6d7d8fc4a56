package rotate

import (
	"fmt"
	"slices"

	"rekey/audit/ledger"
)

// The kinds of step.
const (
	KindCheck   = "check"   // look before anything is touched
	KindCreate  = "create"  // make the new value
	KindSet     = "set"     // write one consumer's copy and reload it
	KindTest    = "test"    // prove what one consumer runs on
	KindVerify  = "verify"  // the verification checklist
	KindOverlap = "overlap" // wait while both values are valid
	KindDrain   = "drain"   // see who still uses the old value
	KindProve   = "prove"   // try the old value against everybody who could accept it
	KindEvict   = "evict"   // end what the old value has minted
	KindTidy    = "tidy"    // remove what is dead anyway
	KindFinish  = "finish"  // forget the values of this run

	// Steps at the issuer.
	KindIssue     = "issue"     // make the new value valid beside the old one
	KindTry       = "try"       // prove that the new value works
	KindRevoke    = "revoke"    // stop the old value from working
	KindReinstate = "reinstate" // take that back
	KindRemove    = "remove"    // remove the old value for good
	KindWithdraw  = "withdraw"  // make the new value invalid
)

// The stages of a rotation, and of the ways back.
const (
	StagePublish  = "publish"  // new value accepted everywhere beside the old one
	StageSwitch   = "switch"   // new value worked with
	StageRetire   = "retire"   // old value gone
	StageUnswitch = "unswitch" // old value worked with again, both still accepted
	StageRollback = "rollback" // old value accepted alone, new one gone
	StageRestore  = "restore"  // old value accepted again beside the new one
)

// OnTheWayBack reports whether a step undoes others.
func OnTheWayBack(s ledger.Step) bool {
	return s.Stage == StageUnswitch || s.Stage == StageRollback || s.Stage == StageRestore
}

// begun reports whether a step that which picks was begun, whatever became of it. A
// step that undid it later does not matter: undoing twice does no harm.
func begun(steps []ledger.Step, which func(ledger.Step) bool) bool {
	return slices.ContainsFunc(steps, func(s ledger.Step) bool {
		return which(s) && s.State != ledger.StepPending && s.State != ledger.StepSkipped
	})
}

// Outcome answers how a run whose steps are all settled has ended.
func Outcome(steps []ledger.Step) ledger.RunState {
	back := slices.ContainsFunc(steps, func(s ledger.Step) bool {
		return s.Key == StageRollback+"/"+KindFinish && s.State == ledger.StepDone
	})
	for _, s := range steps {
		if s.State == ledger.StepFailed && (!back || OnTheWayBack(s)) {
			return ledger.Failed
		}
	}
	if back {
		return ledger.RolledBack
	}
	return ledger.Succeeded
}

type planner struct {
	run   string
	next  int
	steps []ledger.Step
}

func (p *planner) add(kind, stage, consumer, title string) {
	key := kind
	if stage != "" {
		key = stage + "/" + kind
	}
	if consumer != "" {
		key += "/" + consumer
	}
	p.steps = append(p.steps, ledger.Step{
		Run: p.run, Index: p.next, Key: key, Kind: kind, Stage: stage, Consumer: consumer,
		Title: title, State: ledger.StepPending,
	})
	p.next++
}

func span(d interface{ Hours() float64 }) string {
	if h := d.Hours(); h >= 1 {
		return fmt.Sprintf("%g h", h)
	}
	return fmt.Sprint(d)
}
