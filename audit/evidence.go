package audit

import "time"

// Evidence is what Decide judges: numbers counted by readers that know who the
// callers are. It holds no text a visitor chose, except addresses and the
// catalogue's own paths, so that nothing a visitor writes can turn a verdict.
type Evidence struct {
	// Endpoints are the paths the secret guards, as the catalogue names them.
	Endpoints []string
	// Accepted counts 2xx answers of guarded endpoints to addresses not ours.
	Accepted Activity
	// Late counts those of Accepted that came after the old value's death: they were made
	// with the new one.
	Late Activity
	// Refused counts signature failures and 401/403 answers to addresses not ours,
	// on guarded endpoints or on a path the log did not record.
	Refused Activity
	// RefusedOurs counts the same for our own addresses: checks with a wrong value,
	// or a service that still signs with an old one.
	RefusedOurs int
	// Unattributed counts 2xx answers of guarded endpoints that cannot be laid at
	// anyone's door: the log shows a proxy's address, none at all, or the catalogue
	// names no callers to compare with.
	Unattributed int
	// AsBefore counts 2xx answers of endpoints for which the catalogue names no callers,
	// to addresses that made such requests before the window, too.
	AsBefore int
	// Normal counts the accepted requests before the window that tell what is normal; 0
	// when there is nothing to compare with.
	Normal int
	// Visitors are the addresses at the guarded endpoints, those that matter most first.
	Visitors []Visitor
	// Exposed counts lines of the logs that hold the value itself, or its beginning.
	Exposed int
	// Access says how much of the window the access logs show. They alone show a
	// successful use.
	Access Coverage
	// AccessSince is when the access logs begin, if that is inside the window.
	AccessSince time.Time
	// Refusals says how much of the window the logs of refusals (security, django)
	// show.
	Refusals Coverage
	// Signals counts Sentry issues that mention an endpoint or a signature.
	Signals int
	// Gaps are carried into Verdict.Missing.
	Gaps []Gap
}

// Activity is what a group of addresses did.
type Activity struct {
	Count     int
	Addresses []Tally // by count, largest first; an unknown address is "address not recorded"
	Paths     []Tally // by count, largest first
	First     time.Time
	Last      time.Time
}

// Coverage is how much of the window a class of evidence shows.
type Coverage int

// The coverages, from worst to best.
const (
	Unseen  Coverage = iota // nothing could be read
	Partial                 // a part is known to be missing
	Whole                   // everything there is was read
)
