package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
	"rekey/commands/secret"
)

// holes says what of the window a log that was read does not show, and how much
// that leaves.
func (f *source) holes(window audit.Window, s logs.Stats, scanErr error, several bool) ([]audit.Gap, audit.Coverage) {
	var gaps []audit.Gap
	coverage := audit.Whole
	hole := func(to audit.Coverage, format string, args ...any) {
		gaps = append(gaps, audit.Gap{Source: f.name, Why: fmt.Sprintf(format, args...)})
		coverage = min(coverage, to)
	}
	file, isFile := f.Source.(*logs.File)
	still := ""
	if _, ok := f.Source.(newest); ok {
		still = "its newest entries were still read; "
	}
	var fault *logs.Fault
	switch {
	case errors.As(scanErr, &fault) && s.Begins.IsZero():
		hole(audit.Unseen, "%s", fault.Why)
	case errors.As(scanErr, &fault):
		hole(audit.Partial, "%s", fault.Why)
	case errors.Is(scanErr, context.DeadlineExceeded), errors.Is(scanErr, context.Canceled):
		hole(audit.Partial, "Time ran out after %s; %sask for a shorter window, or again with more time.", progress(s), still)
	case scanErr != nil:
		hole(audit.Partial, "It could not be read to its end; check where it lies, and ask again.")
	}
	for _, g := range s.Gaps {
		gaps = append(gaps, audit.Gap{Source: cmp.Or(g.Name, f.name), Why: g.Why})
		coverage = min(coverage, g.Left)
	}
	if s.Truncated {
		hole(audit.Partial, "It was truncated while it was read; ask again, and look into its rotated parts.")
	}
	if isFile && file.Replaced() {
		hole(audit.Partial, "It was rotated while it was read; ask again.")
	}
	if s.Timeless > 0 {
		hole(audit.Partial, "%s carry no time and could not be placed in the window; give its formatter a time.", plural(s.Timeless, "line"))
	}
	if several && s.Disordered {
		hole(audit.Whole, "It is not in time order, so a request that is also in another log may be counted twice.")
	}
	switch {
	case scanErr != nil:
	case s.Begins.IsZero() && f.format == logs.Access:
		hole(audit.Unseen, "None of its lines has a time where an access log has it; check its format in the catalogue.")
	case s.Begins.IsZero():
		hole(audit.Partial, "None of its lines has a time rekey can read; give its formatter one.")
	case f.format == logs.Access && s.Ends.Before(window.Since) && window.Until.Sub(window.Since) <= quiet:
		// A log may rest for that long.
	case f.format == logs.Access && s.Ends.Before(window.Since):
		hole(audit.Unseen, "It ends at %s, before the window begins; either there was no traffic, or it is logged elsewhere by now.", stampText(s.Ends))
	case f.format == logs.Access && !s.Begins.Before(window.Until):
		hole(audit.Unseen, "It begins at %s, after the window ends; its rotated parts are needed.", stampText(s.Begins))
	case s.Begins.After(window.Since) && isFile && rotated(file.Path(), window.Since):
		hole(audit.Partial, "It begins at %s and its older parts, rotated away, were not read.", stampText(s.Begins))
	case s.Begins.After(window.Since.Add(quiet)) && s.Cut:
		hole(audit.Partial, "It begins at %s; what it held of the time before is gone, or may be.", stampText(s.Begins))
	case s.Begins.After(window.Since.Add(quiet)) && f.format == logs.Access:
		hole(audit.Whole, "It begins at %s, after the window does; what happened before it was begun was not logged in it.", stampText(s.Begins))
	}
	return gaps, coverage
}

// progress is how far a reading came that time ran out on.
func progress(s logs.Stats) string {
	if s.Size == 0 {
		return plural(s.Lines, "line")
	}
	return size(s.Read) + " of " + size(s.Size)
}

// quiet is how long a log in use may be without an entry before its late beginning
// is worth a word.
const quiet = 5 * time.Minute

func stampText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// coverage sums up what became of the logs of each format.
type coverage struct {
	configured map[logs.Format]int
	best       map[logs.Format]audit.Coverage
	worst      map[logs.Format]audit.Coverage
}

func newCoverage(list []secret.Log) *coverage {
	c := &coverage{configured: map[logs.Format]int{}, best: map[logs.Format]audit.Coverage{}, worst: map[logs.Format]audit.Coverage{}}
	for _, entry := range list {
		format := logs.Format(entry.Format)
		c.configured[format]++
		c.worst[format] = audit.Whole
	}
	return c
}

func (c *coverage) any(format logs.Format) bool { return c.configured[format] > 0 }

func (c *coverage) note(format logs.Format, seen audit.Coverage) {
	c.best[format] = max(c.best[format], seen)
	c.worst[format] = min(c.worst[format], seen)
}

// of is the coverage of formats together: whole if every log is, unseen if none was
// seen at all.
func (c *coverage) of(formats ...logs.Format) audit.Coverage {
	best, worst := audit.Unseen, audit.Whole
	for _, format := range formats {
		if c.any(format) {
			best, worst = max(best, c.best[format]), min(worst, c.worst[format])
		}
	}
	switch {
	case best == audit.Unseen:
		return audit.Unseen
	case worst == audit.Whole:
		return audit.Whole
	}
	return audit.Partial
}
