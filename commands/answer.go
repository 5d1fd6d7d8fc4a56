package commands

import (
	"time"

	"rekey/audit/ledger"
)

// Outcome is what became of a request.
type Outcome string

// The outcomes of a request.
const (
	Taken    Outcome = "taken"    // recorded and under way: Run says which
	Denied   Outcome = "denied"   // policy said no; that is in the security log
	Unusable Outcome = "unusable" // could not be understood or carried out; nothing was started
	Told     Outcome = "told"     // a question, answered here
	Asking   Outcome = "asking"   // the person has to confirm: Confirm says what; nothing was started
)

// Answer is what a request gets at once, before any work is done. Text is always
// set and enough by itself; the other fields carry the data behind it for a
// renderer that can do better.
type Answer struct {
	Outcome Outcome
	Verb    Verb
	Text    string
	Run     string
	// Secrets answers Verb List, in the catalogue's order.
	Secrets []SecretRow
	// Runs and Steps answer Verb Status, newest run first.
	Runs  []ledger.Run
	Steps map[string][]ledger.Step
	// Plan answers a dry run, in order; Others are the secrets of a group that it leaves out.
	Plan   []PlanRow
	Others []Other
	// Digest answers Verb Digest.
	Digest *DailyDigest
	// Confirm is what the person is asked, with Outcome Asking.
	Confirm *Confirm
}

// PlanRow is one step of a dry run.
type PlanRow struct {
	Secret string   // set where the plan is for several
	Title  string   // for people: "Publish the new value to api, beside the old one"
	Would  []string // everything it would touch: files, commands, roles, calls; no value
}

// Confirm is a question with one way to say yes: Request taken again with Confirmed set.
type Confirm struct {
	Request Request
	Cost    string // what it ends: "120 sessions and 3 password reset links end."
	Yes     string // the button: "Rotate SECRET_KEY now"
}

// SecretRow is one secret in one environment, as /rotate list shows it.
type SecretRow struct {
	Name, Environment, Purpose, Owner, Risk, Procedure string
	LastRotated                                        time.Time // zero: unknown
	NextDue                                            time.Time // zero: as needed
	Active                                             string    // id of an unfinished run
	// First is the environment in which a routine rotation has to succeed before one may
	// start here; "" when one may.
	First string
}
