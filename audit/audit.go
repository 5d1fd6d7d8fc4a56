// Package audit holds the words of an investigation: findings, tallies, the
// verdict and the report. It exists so that the readers of evidence (log files,
// Sentry), the code that decides and the code that renders share one set of
// types, and so that the verdict can be reached by a pure function.
//
// Nothing in this package carries a secret value: readers mask before they build
// a Finding.
package audit

import (
	"net/netip"
	"time"
)

// Window is the stretch of time an audit looks at. Since is inclusive, Until
// exclusive; both are UTC. A zero Until means "now" to a reader.
type Window struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

// Kind is what a finding shows.
type Kind string

// The kinds of finding.
const (
	// InvalidSignature is a refused HMAC signature in the application's security log.
	InvalidSignature Kind = "invalid_signature"
	// Denied is an HTTP 401 or 403 that the server really answered.
	Denied Kind = "denied"
	// Used is an accepted (2xx) request to an endpoint the secret guards, from an
	// address that is not a known caller.
	Used Kind = "used"
	// Exposed is a line that holds a value of the secret, or a part of one.
	Exposed Kind = "exposed"
)

// Finding is one line of evidence, already parsed. Agent, Path and Text are the
// visitor's own words: they are shown, never believed.
type Finding struct {
	Kind   Kind       `json:"kind"`
	At     time.Time  `json:"at"`
	Addr   netip.Addr `json:"addr,omitzero"`
	Method string     `json:"method,omitempty"`
	Path   string     `json:"path,omitempty"`
	Agent  string     `json:"agent,omitempty"`
	Status int        `json:"status,omitempty"`
	// Sources says where the finding was read ("security.log:812"); one denial
	// that several logs recorded is one finding with several sources. Far into a
	// large file the byte is named instead of the line ("access.log@4294967296"):
	// counting lines would mean reading all that comes before.
	Sources []string `json:"sources"`
	// Ours reports that Addr is a known caller of the endpoint or rekey itself.
	Ours bool `json:"ours"`
	// Guarded reports that Path is an endpoint the secret guards.
	Guarded bool `json:"guarded"`
	// Text is the line as found, cut to 300 runes, control characters and
	// long random-looking tokens masked.
	Text string `json:"text,omitempty"`
}

// Tally counts findings that share a name (an address, a path).
type Tally struct {
	Name  string    `json:"name"`
	Count int       `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Ours  bool      `json:"ours"`
}

// Issue is one Sentry issue of the window.
type Issue struct {
	ID        string    `json:"id"`
	ShortID   string    `json:"short_id"`
	Title     string    `json:"title"`
	Culprit   string    `json:"culprit,omitempty"`
	Level     string    `json:"level,omitempty"`
	Count     int64     `json:"count"`
	Users     int64     `json:"users"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Link      string    `json:"link,omitempty"`
	Mentions  []string  `json:"mentions,omitempty"` // which endpoint, address or signature word it mentions
	Relevance int       `json:"relevance"`
}

// Gap is evidence that could not be read. A gap is shown, never silent.
type Gap struct {
	Source string `json:"source"` // "logs/security.log", "Sentry"
	Why    string `json:"why"`    // plain sentence: what was wrong and what to do
}

// Exposure is a place in the logs that holds a value of the secret.
type Exposure struct {
	Source string    `json:"source"` // "app.log:812"
	At     time.Time `json:"at,omitzero"`
	Whole  bool      `json:"whole"` // false: only its beginning
	Text   string    `json:"text"`  // the line with the value masked
}

// Outcome is the verdict's class, from best to worst to unknown.
type Outcome string

// The four outcomes.
const (
	NoSign     Outcome = "no_sign"           // no sign of misuse
	Refused    Outcome = "tried_and_refused" // strangers tried and were refused
	Misused    Outcome = "used"              // used by an address that is not ours
	CannotTell Outcome = "cannot_tell"       // evidence is missing; Missing says which
)

// Verdict is the answer to the one question a responder has.
type Verdict struct {
	Outcome  Outcome `json:"outcome"`
	Sentence string  `json:"sentence"`
	// Reasons are the facts it rests on, the weightiest first, at most 3.
	Reasons []string `json:"reasons"`
	Missing []string `json:"missing,omitempty"`
	// Confidence is how sure that is; Changes says what would change it.
	Confidence Confidence `json:"confidence"`
	Changes    []string   `json:"changes,omitempty"`
}

// Report is a whole audit of one secret. Totals count everything in the window;
// Findings holds the newest 100 of each kind, oldest first.
type Report struct {
	Secret      string       `json:"secret"`
	Environment string       `json:"environment"`
	Window      Window       `json:"window"`
	Totals      map[Kind]int `json:"totals"`
	// Strangers counts only findings whose address is not ours.
	Strangers map[Kind]int `json:"strangers"`
	Findings  []Finding    `json:"findings"`
	Addresses []Tally      `json:"addresses"` // by count, largest first, at most 20
	Paths     []Tally      `json:"paths"`     // by count, largest first, at most 20
	Issues    []Issue      `json:"issues"`
	Gaps      []Gap        `json:"gaps,omitempty"`
	Read      []string     `json:"read"` // what was read: "security.log (2.1 MB, 8,112 lines searched)"
	// Before is the stretch ahead of the window whose accepted uses tell what is normal;
	// zero when there was none to compare with.
	Before Window `json:"before,omitzero"`
	// Visitors are the addresses at the guarded endpoints, those that matter most first,
	// at most 20.
	Visitors []Visitor `json:"visitors"`
	Timeline Timeline  `json:"timeline"`
	// Exposed are places where the secret's value, or the beginning of it, stands in the
	// logs themselves.
	Exposed []Exposure `json:"exposed,omitempty"`
	Verdict Verdict    `json:"verdict"`
	TookMS  int64      `json:"took_ms"`
}
