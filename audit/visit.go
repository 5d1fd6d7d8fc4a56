package audit

import "time"

// Visitor is what one address did at the endpoints the secret guards.
type Visitor struct {
	Addr string `json:"addr"`
	Ours bool   `json:"ours"`
	// Accepted and Refused count requests in the window; First and Last are the first and
	// the last of them.
	Accepted int       `json:"accepted"`
	Refused  int       `json:"refused"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	// Entered is the first accepted request, LastIn the newest; zero without one.
	Entered time.Time `json:"entered,omitzero"`
	LastIn  time.Time `json:"last_in,omitzero"`
	// RefusedFirst counts the refusals before Entered: somebody who tried, and then got
	// in, is the pattern that matters most.
	RefusedFirst int `json:"refused_first,omitempty"`
	// Elsewhere counts this address's refusals on paths the secret does not guard.
	Elsewhere int `json:"elsewhere,omitempty"`
	// Peak is the largest number of requests in one minute.
	Peak int `json:"peak"`
	// Agents are the user agents it showed, the newest first, at most 3: its own words.
	Agents []string `json:"agents,omitempty"`
	// Paths are the guarded paths it asked for, at most 5.
	Paths []string `json:"paths,omitempty"`
	// Unusual says in plain words how its accepted requests differ from what was normal
	// before the window; empty where nothing does, or where nothing is known of before.
	Unusual []string `json:"unusual,omitempty"`
}

// Slot is a short stretch of a Timeline. A request is ours when its address is.
type Slot struct {
	At                time.Time `json:"at"` // its beginning, UTC
	OursAccepted      int       `json:"ours_accepted"`
	OursRefused       int       `json:"ours_refused"`
	StrangersAccepted int       `json:"strangers_accepted"`
	StrangersRefused  int       `json:"strangers_refused"`
}

// Mark is a moment that a chart shows: "new value in use", "old value dead".
type Mark struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// Timeline counts the requests that concern the secret over the window: uses of its
// endpoints, and refusals. Slots are Step long, in order, without gaps between the first
// and the last, at most MaxSlots.
type Timeline struct {
	Step  time.Duration `json:"step"`
	Slots []Slot        `json:"slots"`
	Marks []Mark        `json:"marks,omitempty"`
}

// MaxSlots is how many slots a Timeline has at most.
const MaxSlots = 240

// Confidence is how sure a verdict is.
type Confidence string

// The confidences.
const (
	High   Confidence = "high"
	Medium Confidence = "medium"
	Low    Confidence = "low"
)
