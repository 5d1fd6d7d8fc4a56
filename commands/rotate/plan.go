package rotate

import (
	"rekey/audit/ledger"
)

// Plan answers the steps of a fresh run, in order. It is pure: the same subject has
// the same plan, so that a dry run shows what a real one does.
func Plan(s Subject) []ledger.Step {
	p := &planner{run: s.Run.ID}
	if s.Secret.Procedure.Issued() {
		p.issued(s)
	} else {
		p.shared(s)
	}
	return p.steps
}

// shared plans a value that services hold against each other.
func (p *planner) shared(s Subject) {
	p.add(KindCheck, "", "", "Check that every service is well and runs on the present value")
	p.add(KindCreate, "", "", "Make the new value")
	for _, u := range s.Place.Uses {
		if overlaps(u) {
			p.add(KindSet, StagePublish, u.Consumer, "Publish the new value to "+u.Consumer+", beside the old one")
			p.add(KindTest, StagePublish, u.Consumer, "Prove that "+u.Consumer+" accepts both")
		}
	}
	p.switchOver(s)
	p.keepBoth(s)
	for _, u := range s.Place.Uses {
		if overlaps(u) {
			p.add(KindSet, StageRetire, u.Consumer, "Remove the old value from "+u.Consumer)
			p.add(KindTest, StageRetire, u.Consumer, "Prove that "+u.Consumer+" refuses the old value")
		}
	}
	p.add(KindProve, "", "", "Try the old value against every consumer")
	p.closing(s)
}

// issued plans a value that somebody else makes valid.
func (p *planner) issued(s Subject) {
	p.add(KindCheck, "", "", "Check that every service is well and the present value works")
	p.add(KindCreate, "", "", "Get the new value")
	p.add(KindIssue, "", "", "Make the new value valid beside the old one")
	p.add(KindTry, "", "", "Prove that the new value works")
	p.switchOver(s)
	p.keepBoth(s)
	p.add(KindRevoke, StageRetire, "", "Stop the old value from working")
	p.add(KindProve, "", "", "Try the old value where it was valid")
	p.add(KindRemove, "", "", "Remove the old value for good")
	p.closing(s)
}

// switchOver brings everybody who works with the value to the new one. In a routine
// rotation the checklist follows while it is easy to go back; in a compromised one it
// must not hold up the end of the old value.
func (p *planner) switchOver(s Subject) {
	for _, u := range s.Place.Uses {
		if shows(u) {
			p.add(KindSet, StageSwitch, u.Consumer, "Switch "+u.Consumer+" to the new value")
			p.add(KindTest, StageSwitch, u.Consumer, "Prove that "+u.Consumer+" runs on the new value")
		}
	}
	if len(s.Place.Checks) > 0 && !s.compromised() {
		p.add(KindVerify, StageSwitch, "", "Go through the verification checklist")
	}
}

// keepBoth waits out the overlap, and sees who still uses the old value.
func (p *planner) keepBoth(s Subject) {
	if !s.compromised() && s.Secret.Overlap > 0 {
		p.add(KindOverlap, "", "", "Keep both values valid for "+span(s.Secret.Overlap))
		p.add(KindCheck, StageRetire, "", "Check that nobody has gone back to the old value")
	}
	if len(s.Place.Usage) > 0 || s.Secret.Procedure.Issued() {
		p.add(KindDrain, StageRetire, "", "See who still uses the old value")
	}
}

// closing ends what the old value has minted and forgets the values.
func (p *planner) closing(s Subject) {
	if m := s.Place.Sessions; m != nil {
		if s.compromised() && len(m.End) > 0 {
			p.add(KindEvict, "", "", "End the sessions that the old value has signed")
		}
		if len(m.Tidy) > 0 {
			p.add(KindTidy, "", "", "Clear the sessions that are over")
		}
	}
	if len(s.Place.Checks) > 0 {
		p.add(KindVerify, "", "", "Go through the verification checklist")
	}
	p.add(KindFinish, "", "", "Forget the old value")
}

// Escalated answers the steps that a routine run lacks, to be added at its end, when it
// turns out that the secret is compromised. Overlaps and drains look at the run's mode
// themselves.
func Escalated(s Subject, steps []ledger.Step) []ledger.Step {
	p := &planner{run: s.Run.ID, next: len(steps)}
	if m := s.Place.Sessions; m != nil && len(m.End) > 0 {
		p.add(KindEvict, "", "", "End the sessions that the old value has signed")
	}
	return p.steps
}
