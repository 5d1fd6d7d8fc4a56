// Package render turns what rekey knows into what people read: Block Kit, plain
// text, Markdown and PagerDuty events. It is pure: no clock, no network, no state,
// so that every word a responder sees can be held against a golden file.
//
// Three rules hold for every function here. Any input fits the vendor's limits,
// whatever its length. Nothing in the input can become markup, a mention or a
// link: text chosen by a visitor or typed by a person is shown inside code spans,
// and markup is its own type (see mark). And a state is always a word; marks and
// colours only repeat it.
package render

import (
	"time"

	"github.com/slack-go/slack"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/commands"
)

// Message is one Slack message: blocks, and the text that notifications and
// screen readers use.
type Message struct {
	Text   string
	Blocks []slack.Block
}

// Scene is everything there is to tell of one run at one moment.
type Scene struct {
	Run    ledger.Run
	Steps  []ledger.Step
	Report *audit.Report // nil until there is one
	Anchor Anchor
	// Members are the runs of a batch, in the order of their turns, and Others the
	// secrets it does not rotate itself.
	Members []Scene
	Others  []commands.Other
	// Now is the moment the scene was seen: elapsed times of what still runs are
	// counted to it.
	Now time.Time
}

// Anchor is the newest entry the run has in the security log. Published in Slack,
// it is a copy of the chain's state that whoever edits the database cannot reach.
type Anchor struct {
	Seq  int64
	Hash ledger.Hash
}
