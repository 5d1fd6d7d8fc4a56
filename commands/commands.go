// Package commands holds what a person can ask of rekey, whoever carries the
// words: Slack or a terminal. It parses text into a Request and knows nothing of
// how a request is carried out.
package commands

import (
	"strings"
	"time"
)

// Actor is the person (or rekey itself) behind an act. It is passed explicitly.
type Actor struct {
	Via     string // "slack", "cli", "rekey"
	ID      string // Slack user id, operating-system user name
	Name    string // for people; chosen by the person, never used to decide
	Channel string // Slack channel id the words were typed in, "" elsewhere
}

// String is the form kept in the security log: "slack:U012AB3CD (alice)".
func (a Actor) String() string {
	if a.Via == "rekey" {
		return "rekey"
	}
	if a.Name != "" && a.Name != a.ID {
		return a.Via + ":" + a.ID + " (" + a.Name + ")"
	}
	return a.Via + ":" + a.ID
}

// NameOf is the part of an Actor's String that people know somebody by: "alice".
func NameOf(actor string) string {
	if i := strings.LastIndex(actor, " ("); i >= 0 && strings.HasSuffix(actor, ")") {
		return actor[i+2 : len(actor)-1]
	}
	return actor
}

// Verb is what is asked.
type Verb string

// The verbs.
const (
	Rotate Verb = "rotate"
	Audit  Verb = "audit"
	Help   Verb = "help"
	List   Verb = "list"
	Status Verb = "status"
	// Rollback takes a run back to the old value.
	Rollback Verb = "rollback"
	// Kill ends the old value of a run that stopped because somebody still uses it; Hold
	// lets it live for HoldFor more.
	Kill Verb = "kill"
	Hold Verb = "hold"
	// Schedule tells what is due when.
	Schedule Verb = "schedule"
	// Digest tells what the daily message about due secrets would say now.
	Digest Verb = "digest"
)

// Mode is how a rotation treats the old value.
type Mode string

// The modes.
const (
	Routine     Mode = "routine"     // old value accepted for the secret's overlap, then retired
	Compromised Mode = "compromised" // old value retired as soon as every consumer is proven on the new one
)

// Request is one thing a person asks. ID is unique per ask and stays the same on
// redelivery.
type Request struct {
	ID          string
	At          time.Time
	Actor       Actor
	Verb        Verb
	Secret      string // a secret's name, or a group's; "all" for every secret that can be rotated
	Environment string
	Mode        Mode
	Reason      string        // in the person's words; scrubbed before it is kept
	Since       time.Duration // audit: how far back; 0 means the default
	From, Until time.Time     // audit: the exact window; zero From means Since ago, zero Until when it is read
	Run         string        // the one run meant by status, rollback, kill or hold
	DryRun      bool          // rotate: tell the plan with everything it would touch, and touch nothing
	Confirmed   bool          // rotate: the person was told what it ends, and wants it
}
