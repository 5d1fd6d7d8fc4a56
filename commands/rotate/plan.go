package rotate

import (
	"fmt"
	"slices"

	"rekey/audit/ledger"
	"rekey/commands"
	"rekey/commands/secret"
)

// Plan answers the steps of a fresh run, in order. It is pure: the same subject has
// the same plan, so that a dry run shows what a real one does.
func Plan(s Subject) []ledger.Step {
	p := planner{run: s.Run.ID}
	p.add(KindCheck, "", "", "Check that every service is well and runs on the present value")
	p.add(KindCreate, "", "", "Make the new value")
	for _, u := range s.Place.Uses {
		if accepts(u) {
			p.add(KindSet, StagePublish, u.Consumer, "Publish the new value to "+u.Consumer+", beside the old one")
			p.add(KindTest, StagePublish, u.Consumer, "Prove that "+u.Consumer+" accepts both")
		}
	}
	for _, u := range s.Place.Uses {
		if signs(u) {
			p.add(KindSet, StageSwitch, u.Consumer, "Switch "+u.Consumer+" to the new value")
			p.add(KindTest, StageSwitch, u.Consumer, "Prove that "+u.Consumer+" runs on the new value")
		}
	}
	if s.Run.Mode == string(commands.Routine) && s.Secret.Overlap > 0 {
		p.add(KindOverlap, "", "", "Keep both values valid for "+span(s.Secret.Overlap))
		p.add(KindCheck, StageRetire, "", "Check that nobody has gone back to the old value")
	}
	for _, u := range s.Place.Uses {
		if accepts(u) {
			p.add(KindSet, StageRetire, u.Consumer, "Remove the old value from "+u.Consumer)
			p.add(KindTest, StageRetire, u.Consumer, "Prove that "+u.Consumer+" refuses the old value")
		}
	}
	p.add(KindProve, "", "", "Try the old value against every consumer")
	p.add(KindFinish, "", "", "Forget the old value")
	return p.steps
}

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
	p := planner{run: s.Run.ID, next: len(steps)}
	begun := func(u secret.Use, stage string) bool {
		return slices.ContainsFunc(steps, func(st ledger.Step) bool {
			return st.Kind == KindSet && st.Stage == stage && st.Consumer == u.Consumer && st.State != ledger.StepPending
		})
	}
	toOld := failed.Stage == StagePublish || failed.Stage == StageSwitch
	switch gone := vanished(s, steps); {
	case toOld && gone != "":
		w.Says = "The catalogue no longer has " + gone + ", which may run on the new value by now, so rekey leaves every service as it is. " +
			"Put it back and run the command again."
	case toOld:
		p.toOld(s, begun)
		w.Says = "rekey goes back to the old value."
	case failed.Stage == StageRetire && failed.Kind == KindCheck:
		w.Says = "Both values stay valid; nothing more was changed."
	case failed.Stage == StageRetire && serving:
		w.Says = "Everything runs on the new value and serves, but the old one is not proven dead."
	case failed.Stage == StageRetire:
		for _, u := range s.Place.Uses {
			if accepts(u) && begun(u, StageRetire) {
				p.add(KindSet, StageRestore, u.Consumer, "Let "+u.Consumer+" accept both values again")
				p.add(KindTest, StageRestore, u.Consumer, "Prove that "+u.Consumer+" serves")
			}
		}
		w.Says = "rekey lets both values be accepted again, so that traffic is served."
	case failed.Kind == KindCheck:
		w.Says = "Nothing was changed."
	case failed.Kind == KindCreate:
		p.add(KindFinish, StageRollback, "", "Forget the new value")
		w.Says = "Nothing was changed."
	case failed.Kind != KindProve && failed.Kind != KindFinish:
		w.Says = "rekey leaves every service as it is."
	default: // all services are on the new value
		w.Says = "Every service runs on the new value, but the old one is not proven dead."
	}
	w.Steps = p.steps
	return w
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
// is not proven to sign with the old value again, nobody may stop accepting the new
// one; and as long as one is not proven to be rid of the new value, it is not
// forgotten.
func backFailed(steps []ledger.Step, failed ledger.Step) WayBack {
	w := WayBack{Says: "A person must look at " + failed.Consumer + "."}
	if failed.Consumer == "" { // the old value serves everywhere, only forgetting the new one failed
		w.Says = "A person must look at that."
	}
	switch failed.Stage {
	case StageUnswitch:
		w.Dropped = drop(steps, func(s ledger.Step) bool { return s.Stage == StageRollback })
	case StageRollback:
		w.Dropped = drop(steps, func(s ledger.Step) bool { return s.Kind == KindFinish })
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

// toOld plans the way back to the old value. Those who sign go back first and prove
// it; only then may anybody stop accepting the new value.
func (p *planner) toOld(s Subject, begun func(secret.Use, string) bool) {
	for _, u := range s.Place.Uses {
		if signs(u) && begun(u, StageSwitch) {
			p.add(KindSet, StageUnswitch, u.Consumer, "Put the old value back into "+u.Consumer)
			p.add(KindTest, StageUnswitch, u.Consumer, "Prove that "+u.Consumer+" runs on the old value")
		}
	}
	for _, u := range s.Place.Uses {
		if accepts(u) && begun(u, StagePublish) {
			p.add(KindSet, StageRollback, u.Consumer, "Take the new value out of "+u.Consumer)
			p.add(KindTest, StageRollback, u.Consumer, "Prove that "+u.Consumer+" accepts the old value alone")
		}
	}
	p.add(KindFinish, StageRollback, "", "Forget the new value")
}

// OnTheWayBack reports whether a step undoes others.
func OnTheWayBack(s ledger.Step) bool {
	return s.Stage == StageUnswitch || s.Stage == StageRollback || s.Stage == StageRestore
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

// Outcome answers how a run whose steps are all settled has ended.
func Outcome(steps []ledger.Step) ledger.RunState {
	state := ledger.Succeeded
	for _, s := range steps {
		if s.State != ledger.StepFailed {
			continue
		}
		back := slices.ContainsFunc(steps, func(o ledger.Step) bool { return o.Key == StageRollback+"/"+KindFinish })
		if (s.Stage == StagePublish || s.Stage == StageSwitch) && back && state == ledger.Succeeded {
			state = ledger.RolledBack
			continue
		}
		return ledger.Failed
	}
	return state
}

func span(d interface{ Hours() float64 }) string {
	if h := d.Hours(); h >= 1 {
		return fmt.Sprintf("%g h", h)
	}
	return fmt.Sprint(d)
}
