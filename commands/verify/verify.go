// Package verify asks running services which value they run on. A signal sent is
// not proof and neither is a file written: only an answer is.
package verify

import (
	"context"

	"rekey/commands/secret"
)

// Answer is what one service process said to one value.
type Answer int

// The answers. Unknown is never a pass.
const (
	Unknown  Answer = iota // could not be asked, or said something else (a 500, a redirect)
	Accepted               // the service works with this value
	Refused                // the service refused this value
)

// Try is one question and its answer.
type Try struct {
	Answer Answer
	Worker string // which process answered, where the service tells; else ""
	Why    string // plain words, for Unknown above all: "connection refused", "answered 500"
}

// Prober asks a consumer, on a connection of its own each time, whether it works
// with v. Implementations are safe for concurrent use and honour ctx.
type Prober interface {
	Try(ctx context.Context, v secret.Value) Try
}

// Expectation is one value and what every worker must say to it.
type Expectation struct {
	Label string // "new", "old", "wrong": what people are shown
	Value secret.Value
	Want  Answer // Accepted or Refused
}

// Outcome is the result of a check.
type Outcome string

// The outcomes.
const (
	Passed       Outcome = "passed"
	FailedCheck  Outcome = "failed"
	UnknownCheck Outcome = "unknown" // could not be asked: never counts as passed
)

// Result is what a check found, for people and for the engine.
type Result struct {
	Outcome Outcome
	Detail  string   // one plain sentence, no value in it
	Asked   int      // questions asked in all
	Workers []string // distinct workers that answered in the final agreement, sorted
}
