package commands

import (
	"encoding/json"
	"fmt"
	"time"
)

// DailyDigest is what the daily message about due and overdue secrets tells, as of one
// moment. Its times are in the schedule's zone, and stay so when it is kept as JSON.
type DailyDigest struct {
	At time.Time `json:"at"`
	// Day is the date on the schedule's calendar ("2026-11-26"); with one digest a day it
	// names the digest. Until is when that day ends: a digest that was not told by then is
	// told no more.
	Day   string    `json:"day"`
	Until time.Time `json:"until"`
	Zone  string    `json:"zone"`
	// Overdue are longest overdue first, Due soonest first.
	Overdue []DigestRow `json:"overdue"`
	Due     []DigestRow `json:"due"`
	// Waiting are the runs that a person has to look at.
	Waiting []DigestRun `json:"waiting"`
	// Blackouts are the days, from now until Due ends, on which nothing starts by itself.
	Blackouts []DigestBlackout `json:"blackouts"`
	// Next is what falls due after that; nil when nothing does.
	Next *DigestRow `json:"next,omitempty"`
}

// DigestRow is a secret in one environment that is due.
type DigestRow struct {
	Secret      string    `json:"secret"`
	Environment string    `json:"environment"`
	Owner       string    `json:"owner,omitempty"`
	NextDue     time.Time `json:"next_due"`
	// Days is how many days it is overdue, or how many are left.
	Days int `json:"days"`
	// LastRotated is set where it is overdue, and known.
	LastRotated time.Time `json:"last_rotated,omitzero"`
	// Command is what to type; "" where nothing is to be typed: a run is under way (Run),
	// or people rotate it themselves (ByHand).
	Command string `json:"command,omitempty"`
	Run     string `json:"run,omitempty"`
	ByHand  bool   `json:"by_hand,omitempty"`
	// First is the environment in which it has to be rotated before this one: Command is
	// for there.
	First string `json:"first,omitempty"`
	// From and To are the window in which rekey starts it by itself; From is zero where it
	// does not, To where no end is in sight.
	From time.Time `json:"starts_from,omitzero"`
	To   time.Time `json:"starts_until,omitzero"`
}

// DigestRun is a run that a person has to look at.
type DigestRun struct {
	Run         string    `json:"run"`
	Secret      string    `json:"secret"`
	Environment string    `json:"environment"`
	By          string    `json:"by"` // as in ledger.Entry.Actor
	Asked       time.Time `json:"asked"`
	Says        string    `json:"says"` // what is with it and what to do: sentences
}

// DigestBlackout is a span of days, both included, on which nothing starts by itself.
type DigestBlackout struct {
	From string `json:"from"` // "2026-12-20"
	To   string `json:"to"`
	Why  string `json:"why,omitempty"`
	Now  bool   `json:"now"` // today is one of them
}

// Empty reports that nothing is overdue, due soon or waiting for a person.
func (d DailyDigest) Empty() bool { return len(d.Overdue)+len(d.Due)+len(d.Waiting) == 0 }

// Silent reports that the channel is told nothing. An empty digest is told on Mondays
// alone: a message every day that says nothing is soon read by nobody, and a digest that
// is never sent looks the same as one that is broken.
func (d DailyDigest) Silent() bool {
	day, err := time.Parse(time.DateOnly, d.Day)
	return d.Empty() && (err != nil || day.Weekday() != time.Monday)
}

// Automatic counts what rekey starts by itself.
func (d DailyDigest) Automatic() (n int) {
	for _, rows := range [][]DigestRow{d.Overdue, d.Due} {
		for _, r := range rows {
			if !r.From.IsZero() {
				n++
			}
		}
	}
	return n
}

// Memo is d as it is kept until it was told.
func (d DailyDigest) Memo() (string, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("encoding the digest: %w", err)
	}
	return string(raw), nil
}

// ReadDigest answers what was kept.
func ReadDigest(memo string) (d DailyDigest, err error) {
	if err := json.Unmarshal([]byte(memo), &d); err != nil {
		return d, fmt.Errorf("reading the digest: %w", err)
	}
	return d, nil
}
