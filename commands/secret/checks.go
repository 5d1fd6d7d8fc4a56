package secret

import "time"

// CheckKind names what a check of the verification checklist does.
type CheckKind string

// The kinds of check.
const (
	CheckHealth   CheckKind = "health"   // GET URL answers 200
	CheckRequest  CheckKind = "request"  // a signed call: new value accepted, a made-up one refused
	CheckSMTP     CheckKind = "smtp"     // log in to SMTP with the new value and send a test mail
	CheckPostgres CheckKind = "postgres" // connect with the new value and run Queries
	CheckTask     CheckKind = "celery"   // Argv runs a task round trip through the broker
	CheckSentry   CheckKind = "sentry"   // no new issue since the rotation
	CheckLogs     CheckKind = "logs"     // no 401, 403 or invalid signature from our own addresses since
	CheckCommand  CheckKind = "command"  // Argv exits 0
)

// Check is one line of the verification checklist. Fields that do not belong to its
// Kind are zero.
type Check struct {
	Name   string        // for people: "Next.js can revalidate pages"
	Kind   CheckKind     //
	Within time.Duration // it is tried again until then; 0 means 30 s
	Every  time.Duration // pause between two tries; 0 means 500 ms
	URL    string
	Argv   []string
	// Timeout bounds one run of Argv; 0 means 30 s.
	Timeout  time.Duration
	Request  *SignedRequest
	SMTP     *SMTPIssuer
	Postgres *PostgresIssuer
}

// UsageSource tells how often the old value was used lately. Exactly one of Log and
// Metric is set.
type UsageSource struct {
	// Log is a file in which a line that matches Pattern (RE2) is one use of the old
	// value, with what was rotated away of it; or a folder or a pattern of several, as a
	// log of evidence is. A group named "who" says whose.
	Log     string
	Pattern string
	// Metric is the URL of a page in Prometheus' text format, Series a counter on it,
	// with labels as they stand there. It must not grow.
	Metric string
	Series string
	// Quiet is for how long there must have been no use; 0 means 5 min.
	Quiet time.Duration
}

// Sessions are what a secret's values have minted for others: signed sessions, reset
// links. Each field is an argument list.
type Sessions struct {
	// Count prints a JSON object of what would end, in words for people:
	// {"sessions": 120, "password reset links": 3}.
	Count []string
	// End ends all of them at once; run in a compromised rotation.
	End []string
	// Tidy removes those that are dead anyway; run after any rotation.
	Tidy []string
	// Timeout bounds each; 0 means 30 s.
	Timeout time.Duration
}
