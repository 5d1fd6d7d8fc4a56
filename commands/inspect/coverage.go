package inspect

import (
	"slices"

	"rekey/audit"
	"rekey/audit/logs"
	"rekey/commands/secret"
)

// kind is a kind of evidence that a log can hold.
type kind uint8

const (
	accepted kind = iota // requests with their answers: they alone show a use that succeeded
	refused              // what an application says of what it refused
	kinds
)

// holds says what kinds of evidence a log holds: what the catalogue says of it, or where
// its format leaves that open, what was found in it. A log of which nothing could be
// understood may have held either.
func (f *source) holds(s logs.Stats) []kind {
	list := mayHold(f.pattern, f.format)
	if len(list) < int(kinds) {
		return list
	}
	requests, messages := s.Holds()
	switch {
	case requests == messages:
		return list
	case requests:
		return []kind{accepted}
	}
	return []kind{refused}
}

// requests reports whether the log shows accepted requests.
func (f *source) requests(s logs.Stats) bool {
	for _, k := range f.holds(s) {
		if k == accepted {
			return f.format == logs.Access || f.pattern != nil || s.Requests > 0
		}
	}
	return false
}

// mayHold says what kinds of evidence a log may hold by what the catalogue says of it.
func mayHold(pattern *logs.Pattern, format logs.Format) []kind {
	switch {
	case format == logs.Access, pattern != nil && pattern.Requests() && !pattern.Has("message"):
		return []kind{accepted}
	case format == logs.Security, format == logs.Django, pattern != nil && !pattern.Requests():
		return []kind{refused}
	}
	return []kind{accepted, refused}
}

// coverage sums up what became of the logs that hold each kind of evidence.
type coverage struct {
	logs        [kinds]int
	best, worst [kinds]audit.Coverage
}

func newCoverage() *coverage {
	c := &coverage{}
	for k := range kinds {
		c.worst[k] = audit.Whole
	}
	return c
}

// noAccess says that no log holds requests, which is more than that none was wanted: a log
// whose format is detected was looked at, and held none.
func noAccess(list []secret.Log) audit.Gap {
	why := "The catalogue names none for this environment, so an accepted request leaves no trace here; add one."
	if slices.ContainsFunc(list, func(entry secret.Log) bool { return len(mayHold(nil, logs.Format(entry.Format))) > 1 }) {
		why = "None of this environment's logs holds requests with their answers, so an accepted request leaves no trace here; add the log of the server in front."
	}
	return audit.Gap{Source: "access log", Why: why}
}

// any reports whether there is a log of that kind.
func (c *coverage) any(k kind) bool { return c.logs[k] > 0 }

// note adds a log that holds the kinds listed.
func (c *coverage) note(list []kind, seen audit.Coverage) {
	for _, k := range list {
		c.logs[k]++
		c.best[k] = max(c.best[k], seen)
		c.worst[k] = min(c.worst[k], seen)
	}
}

// of is how much of the window the logs of a kind show together: whole if every one does,
// unseen if none was seen at all.
func (c *coverage) of(k kind) audit.Coverage {
	switch {
	case c.best[k] == audit.Unseen:
		return audit.Unseen
	case c.worst[k] == audit.Whole:
		return audit.Whole
	}
	return audit.Partial
}
