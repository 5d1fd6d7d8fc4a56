package rotate

import (
	"slices"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/verify"
)

// desired answers what a consumer's copy shall hold once the set step of a stage is
// done, and of which states it may come from. A service that both signs and accepts
// publishes the new value as the one it merely accepts, because it would otherwise
// sign with a value the others do not know yet.
func desired(u secret.Use, stage string, e store.Escrow) (want store.State, from []store.State) {
	oldOnly := store.State{Current: e.Old}
	newOnly := store.State{Current: e.New}
	newFirst := store.State{Current: e.New, Previous: e.Old}
	oldFirst := store.State{Current: e.Old, Previous: e.New}
	published := newFirst
	if u.Role == secret.Both {
		published = oldFirst
	}
	// A way back may begin before or after a step's write.
	all := []store.State{oldOnly, newOnly, newFirst, oldFirst}
	switch stage {
	case StagePublish:
		return published, []store.State{oldOnly}
	case StageSwitch:
		if u.Role == secret.Both {
			return newFirst, []store.State{oldFirst}
		}
		return newOnly, []store.State{oldOnly}
	case StageRetire:
		return newOnly, []store.State{newFirst}
	case StageUnswitch:
		if u.Role == secret.Both {
			return oldFirst, all
		}
		return oldOnly, all
	case StageRollback:
		return oldOnly, all
	default: // StageRestore
		return newFirst, all
	}
}

// holds compares the values of two states. Previous counts only where the consumer
// has a variable for it.
func holds(u secret.Use, have, want store.State) bool {
	return have.Current.Equal(want.Current) && (u.Previous == "" || have.Previous.Equal(want.Previous))
}

// known reports whether a copy may be written in a stage: it holds what is wanted
// already, or a state the stage comes from. The first stage comes from any state in
// which the old value works: what else an earlier overlap or a run that failed left
// accepted ends here.
func known(u secret.Use, stage string, have store.State, e store.Escrow) bool {
	want, from := desired(u, stage, e)
	if holds(u, have, want) {
		return true
	}
	if stage == StagePublish && !signs(u) && have.Previous.Equal(e.Old) {
		return true
	}
	if stage == StagePublish || stage == StageSwitch && !accepts(u) {
		return have.Current.Equal(e.Old)
	}
	return slices.ContainsFunc(from, func(f store.State) bool { return holds(u, have, f) })
}

// accepting answers what a consumer that accepts must say to signed requests in a
// stage. A wrong value is always among them: a service that accepts anything proves
// nothing.
func accepting(stage string, e store.Escrow) []verify.Expectation {
	switch stage {
	case StagePublish, StageSwitch, StageUnswitch, StageRestore:
		return expect(e, verify.Accepted, verify.Accepted)
	case StageRetire:
		return expect(e, verify.Refused, verify.Accepted)
	default: // before anything is touched, and after a rollback
		return expect(e, verify.Accepted, verify.Refused)
	}
}

// running answers what a consumer that signs must say to a challenge in a stage: it
// runs on exactly one value.
func running(stage string, e store.Escrow) []verify.Expectation {
	switch stage {
	case StageSwitch, StageRetire, StageRestore:
		return expect(e, verify.Refused, verify.Accepted)
	default:
		return expect(e, verify.Accepted, verify.Refused)
	}
}

func expect(e store.Escrow, oldValue, newValue verify.Answer) []verify.Expectation {
	exps := []verify.Expectation{
		{Label: "old", Value: e.Old, Want: oldValue},
		{Label: "wrong", Value: verify.Wrong(), Want: verify.Refused},
	}
	if !e.New.IsZero() {
		exps = append(exps, verify.Expectation{Label: "new", Value: e.New, Want: newValue})
	}
	return exps
}
