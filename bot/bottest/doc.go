// Package bottest holds in-process stand-ins for Slack and PagerDuty.
//
// They exist so that the whole bot, with the vendors' own Go clients, can be run against something that refuses what
// the vendors refuse: a token of the wrong kind, a scope that was not granted, a block that is too long, an
// acknowledgement after three seconds, an event without a severity. A stand-in that accepts anything proves nothing.
// They can also be told to misbehave (see [Faults] and the Socket Mode switches of [Slack]), because what an incident
// bot does while its chat is down is the part that matters.
//
// Tests and cmd/drill use this package; cmd/rekey never does. Everything received is kept raw (Traffic), so that a test
// can search it for secrets. All types are safe for concurrent use.
//
// The rules enforced here come from the vendors' published references (docs.slack.dev method pages, Socket Mode, Block
// Kit; PagerDuty's Events API v2 schema); each is named beside the code that enforces it.
package bottest
