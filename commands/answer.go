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
}

// SecretRow is one secret in one environment, as /rotate list shows it.
type SecretRow struct {
	Name, Environment, Purpose, Owner, Risk, Procedure string
	LastRotated                                        time.Time // zero: unknown
	NextDue                                            time.Time // zero: as needed
	Active                                             string    // id of an unfinished run
}
