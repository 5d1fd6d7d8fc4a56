package rotate

import (
	"rekey/audit/ledger"
	"rekey/commands/secret"
)

// WayBack is what follows a step that failed.
type WayBack struct {
	// Dropped are steps that will not be done any more, already marked as skipped.
	Dropped []ledger.Step
	// Steps are to be done next. None when there is nothing to go back to.
	Steps []ledger.Step
	// Says completes the fault for people: what rekey does about it.
	Says string
}

// Back plans the way back after failed, from what was really begun: steps that were
// never begun have nothing to undo. serving is Fault.Serving.
func Back(s Subject, steps []ledger.Step, failed ledger.Step, serving bool) WayBack {
	if OnTheWayBack(failed) {
		return backFailed(steps, failed)
	}
	w := WayBack{Dropped: drop(steps, func(ledger.Step) bool { return true })}
	p := &planner{run: s.Run.ID, next: len(steps)}
	toOld := failed.Stage == StagePublish || failed.Stage == StageSwitch || failed.Kind == KindIssue || failed.Kind == KindTry
	switch gone := vanished(s, steps); {
	case toOld && gone != "":
		w.Says = "The catalogue no longer has " + gone + ", which may run on the new value by now, so rekey leaves every service as it is. " +
			"Put it back and run the command again."
	case toOld:
		p.toOld(s, steps)
		w.Says = "rekey goes back to the old value."
	case failed.Stage == StageRetire && (failed.Kind == KindCheck || failed.Kind == KindDrain):
		w.Says = "Both values stay valid; nothing more was changed."
	case failed.Stage == StageRetire && serving:
		w.Says = "Everything runs on the new value and serves, but the old one is not proven dead."
	case failed.Stage == StageRetire && failed.Kind == KindRevoke:
		p.add(KindReinstate, StageRestore, "", "Let the old value work again")
		w.Says = "rekey lets both values work again, so that traffic is served."
	case failed.Stage == StageRetire:
		p.restore(s, steps)
		w.Says = "rekey lets both values be accepted again, so that traffic is served."
	case failed.Kind == KindCheck:
		w.Says = "Nothing was changed."
	case failed.Kind == KindCreate:
		p.toOld(s, steps)
		w.Says = "No service was changed."
	case failed.Kind == KindProve:
		w.Says = "Every service runs on the new value, but the old one is not proven dead."
	case failed.Kind == KindRemove:
		w.Says = "Every service runs on the new value and the old one no longer works, but it is not removed yet."
	case failed.Kind == KindEvict:
		w.Says = "The old value is dead, but what it has signed may live on."
	case failed.Kind == KindVerify, failed.Kind == KindTidy:
		w.Says = "The old value is dead and every service runs on the new one."
	case failed.Kind == KindFinish:
		w.Says = "Every service runs on the new value; the values of this run are still kept."
	default:
		w.Says = "rekey leaves every service as it is."
	}
	if len(p.steps) == 0 {
		keep := drop(steps, func(st ledger.Step) bool { return afterDeath(failed, st) })
		w.Dropped = without(w.Dropped, keep)
	}
	w.Steps = p.steps
	return w
}

// afterDeath picks what is still worth doing though failed has failed: once the old
// value is dead, each of the closing steps stands by itself. Values are forgotten only
// where nothing is left that needs them.
func afterDeath(failed, s ledger.Step) bool {
	if s.Stage != "" {
		return false
	}
	switch failed.Kind {
	case KindRemove, KindEvict, KindTidy, KindVerify:
		if failed.Stage != "" {
			return false
		}
		return s.Kind == KindEvict || s.Kind == KindTidy || s.Kind == KindVerify || s.Kind == KindFinish && failed.Kind != KindRemove
	case KindProve: // sessions that a leaked value signed end whether it is proven dead or not
		return s.Kind == KindEvict
	}
	return false
}

func without(steps, keep []ledger.Step) []ledger.Step {
	var out []ledger.Step
next:
	for _, s := range steps {
		for _, k := range keep {
			if k.Index == s.Index {
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}

// Return plans the way back that a person asked for, from what was really done. It is
// refused with a *Fault, which says why, when the old value cannot be had any more.
func Return(s Subject, steps []ledger.Step) (WayBack, error) {
	if len(steps) > 0 && !begun(steps, func(st ledger.Step) bool { return st.Kind != KindCheck }) {
		return WayBack{Dropped: drop(steps, func(ledger.Step) bool { return true }), Says: "Nothing was changed."}, nil
	}
	switch done := func(kind string) bool {
		return begun(steps, func(st ledger.Step) bool { return st.Kind == kind && !OnTheWayBack(st) })
	}; {
	case begun(steps, func(st ledger.Step) bool { return st.Key == StageRollback+"/"+KindFinish }):
		return WayBack{}, faultf("The old value is back already.")
	case done(KindFinish):
		return WayBack{}, faultf("The old value was forgotten at the end of the run, so there is nothing to go back to; rotate again to replace the new one.")
	case done(KindRemove):
		return WayBack{}, faultf("The old value was removed where it was valid, so there is nothing to go back to; rotate again to replace the new one.")
	}
	if gone := vanished(s, steps); gone != "" {
		return WayBack{}, faultf("The catalogue no longer has %s, which may run on the new value by now; put it back first.", gone)
	}
	w := WayBack{Dropped: drop(steps, func(ledger.Step) bool { return true }), Says: "rekey goes back to the old value."}
	p := &planner{run: s.Run.ID, next: len(steps)}
	p.toOld(s, steps)
	w.Steps = p.steps
	return w, nil
}

// vanished names a consumer that was written to and that the catalogue has lost since.
func vanished(s Subject, steps []ledger.Step) string {
	for _, st := range steps {
		if st.Kind != KindSet || st.State == ledger.StepPending || st.State == ledger.StepSkipped {
			continue
		}
		if _, ok := s.use(st.Consumer); !ok {
			return st.Consumer
		}
	}
	return ""
}

// backFailed decides what still makes sense on the way back. As long as one service
// is not proven to work with the old value again, nobody may stop accepting the new
// one; and as long as one is not proven to be rid of the new value, it is not
// forgotten.
func backFailed(steps []ledger.Step, failed ledger.Step) WayBack {
	w := WayBack{Says: "A person must look at " + failed.Consumer + "."}
	if failed.Consumer == "" { // the old value serves everywhere, only what follows failed
		w.Says = "A person must look at that."
	}
	switch {
	case failed.Stage == StageUnswitch && failed.Kind == KindTry:
		w.Dropped = drop(steps, OnTheWayBack)
		w.Says = "Nobody is put back on a value that does not work; a person must look at that."
	case failed.Stage == StageRestore:
		w.Dropped = drop(steps, func(s ledger.Step) bool { return OnTheWayBack(s) && s.Stage != StageRestore })
	case failed.Stage == StageUnswitch:
		w.Dropped = drop(steps, func(s ledger.Step) bool { return s.Stage == StageRollback })
	case failed.Stage == StageRollback && failed.Kind != KindVerify:
		w.Dropped = drop(steps, func(s ledger.Step) bool { return s.Kind == KindFinish || s.Kind == KindWithdraw })
	}
	return w
}

// drop answers the pending steps that which picks, marked as skipped.
func drop(steps []ledger.Step, which func(ledger.Step) bool) []ledger.Step {
	var out []ledger.Step
	for _, s := range steps {
		if s.State == ledger.StepPending && which(s) {
			s.State = ledger.StepSkipped
			out = append(out, s)
		}
	}
	return out
}

// setBegun reports whether a consumer's copy may have been written in a stage.
func setBegun(steps []ledger.Step, u secret.Use, stage string) bool {
	return begun(steps, func(st ledger.Step) bool {
		return st.Kind == KindSet && st.Stage == stage && st.Consumer == u.Consumer
	})
}

// restore lets the old value be accepted again wherever it may have been removed.
func (p *planner) restore(s Subject, steps []ledger.Step) {
	for _, u := range s.Place.Uses {
		if overlaps(u) && setBegun(steps, u, StageRetire) {
			p.add(KindSet, StageRestore, u.Consumer, "Let "+u.Consumer+" accept both values again")
			p.add(KindTest, StageRestore, u.Consumer, "Prove that "+u.Consumer+" serves")
		}
	}
}

// toOld plans the way back to the old value. It is made valid again first; then those
// who work with it go back and prove it; only then may anybody stop accepting the new
// value.
func (p *planner) toOld(s Subject, steps []ledger.Step) {
	did := func(kind string) bool {
		return begun(steps, func(st ledger.Step) bool { return st.Kind == kind })
	}
	if did(KindRevoke) {
		p.add(KindReinstate, StageRestore, "", "Let the old value work again")
	}
	p.restore(s, steps)
	switched := begun(steps, func(st ledger.Step) bool { return st.Kind == KindSet && st.Stage == StageSwitch })
	if s.Secret.Procedure.Issued() && switched {
		// Where a provider knows one password alone, the new one has ended the old one.
		p.add(KindTry, StageUnswitch, "", "Prove that the old value still works")
	}
	changed := false
	for _, u := range s.Place.Uses {
		if shows(u) && setBegun(steps, u, StageSwitch) {
			p.add(KindSet, StageUnswitch, u.Consumer, "Put the old value back into "+u.Consumer)
			p.add(KindTest, StageUnswitch, u.Consumer, "Prove that "+u.Consumer+" runs on the old value")
			changed = true
		}
	}
	for _, u := range s.Place.Uses {
		if overlaps(u) && setBegun(steps, u, StagePublish) {
			p.add(KindSet, StageRollback, u.Consumer, "Take the new value out of "+u.Consumer)
			p.add(KindTest, StageRollback, u.Consumer, "Prove that "+u.Consumer+" accepts the old value alone")
			changed = true
		}
	}
	if s.Secret.Procedure.Issued() && did(KindCreate) {
		p.add(KindWithdraw, StageRollback, "", "Make the new value invalid")
	}
	if changed && len(s.Place.Checks) > 0 {
		p.add(KindVerify, StageRollback, "", "Go through the verification checklist")
	}
	p.add(KindFinish, StageRollback, "", "Forget the new value")
}
