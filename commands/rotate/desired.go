package rotate

import (
	"slices"

	"rekey/commands/secret"
	"rekey/commands/store"
	"rekey/commands/verify"
)

// desired answers what a consumer's copy shall hold once the set step of a stage is
// done. A service that both signs and accepts publishes the new value as the one it
// merely accepts, because it would otherwise sign with a value the others do not know
// yet (Django's ticket 35400 tells of just that).
func desired(u secret.Use, stage string, e store.Escrow) store.State {
	oldOnly := store.State{Current: e.Old}
	newOnly := store.State{Current: e.New}
	newFirst := store.State{Current: e.New, Previous: e.Old}
	oldFirst := store.State{Current: e.Old, Previous: e.New}
	both := u.Role == secret.Both && u.Previous != ""
	switch stage {
	case StagePublish:
		if both {
			return oldFirst
		}
		return newFirst
	case StageSwitch:
		if both {
			return newFirst
		}
		return newOnly
	case StageRetire:
		return newOnly
	case StageUnswitch:
		if both {
			return oldFirst
		}
		return oldOnly
	case StageRollback:
		return oldOnly
	default: // StageRestore
		return newFirst
	}
}

// from lists the states that a stage may come from besides the one it wants: those of
// the stage before. A way back may begin before or after a step's write.
func from(u secret.Use, stage string, e store.Escrow) []store.State {
	switch {
	case stage == StageSwitch && overlaps(u):
		return []store.State{desired(u, StagePublish, e)}
	case stage == StageRetire && u.Role == secret.Both:
		return []store.State{desired(u, StageSwitch, e)}
	case stage == StageRetire:
		return []store.State{desired(u, StagePublish, e)}
	case stage == StageUnswitch || stage == StageRollback || stage == StageRestore:
		return []store.State{
			{Current: e.Old},
			{Current: e.New},
			{Current: e.New, Previous: e.Old},
			{Current: e.Old, Previous: e.New},
		}
	}
	return nil
}

// holds compares the values of two states. Previous counts only where the consumer
// has a variable for it.
func holds(u secret.Use, have, want store.State) bool {
	return have.Current.Equal(want.Current) && (u.Previous == "" || have.Previous.Equal(want.Previous))
}

// known reports whether a copy may be written in a stage: it holds what is wanted
// already, or a state the stage comes from. The first stage of a consumer comes from
// any state in which the old value works: what else an earlier overlap or a run that
// failed left accepted ends here.
func known(u secret.Use, stage string, have store.State, e store.Escrow) bool {
	if holds(u, have, desired(u, stage, e)) {
		return true
	}
	if stage == StagePublish || stage == StageSwitch && !overlaps(u) {
		return have.Current.Equal(e.Old) || !signs(u) && !uses(u) && have.Previous.Equal(e.Old)
	}
	return slices.ContainsFunc(from(u, stage, e), func(f store.State) bool { return holds(u, have, f) })
}

// accepting answers what a consumer that accepts must say to signed requests in a
// stage. A wrong value is always among them: a service that accepts anything proves
// nothing.
func accepting(u secret.Use, stage string, e store.Escrow) []verify.Expectation {
	switch {
	case stage == StageRetire, stage == StageSwitch && !overlaps(u):
		return expect(e, verify.Refused, verify.Accepted)
	case overlaps(u) && (stage == StagePublish || stage == StageSwitch || stage == StageUnswitch || stage == StageRestore):
		return expect(e, verify.Accepted, verify.Accepted)
	default: // before anything is touched, and after a rollback
		return expect(e, verify.Accepted, verify.Refused)
	}
}

// running answers what a consumer that works with one value must say to a challenge in
// a stage.
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
