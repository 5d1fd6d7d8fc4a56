package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
)

// holes says what of the window a log that was read does not show, and how much
// that leaves.
func (f *source) holes(window audit.Window, s logs.Stats, scanErr error, e reached) ([]audit.Gap, audit.Coverage) {
	var gaps []audit.Gap
	coverage := audit.Whole
	hole := func(to audit.Coverage, format string, args ...any) {
		gaps = append(gaps, audit.Gap{Source: f.name, Why: fmt.Sprintf(format, args...)})
		coverage = min(coverage, to)
	}
	still, also := "", ""
	if f.caught {
		still, also = "its newest entries were still read; ", " Its newest entries were still read."
	}
	var fault *logs.Fault
	switch {
	case errors.As(scanErr, &fault) && s.Begins.IsZero():
		hole(audit.Unseen, "%s%s", fault.Why, also)
	case errors.As(scanErr, &fault):
		hole(audit.Partial, "%s%s", fault.Why, also)
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
		hole(audit.Partial, "It was truncated again and again while it was read; ask again, or have it renamed instead of copied when it is rotated.")
	}
	if s.Timeless > 0 {
		hole(audit.Partial, "%s carry no time and could not be placed in the window; give its formatter a time.", audit.Count(s.Timeless, "line"))
	}
	if e.several && s.Disordered {
		hole(audit.Whole, "It is not in time order, so a request that is also in another log may be counted twice.")
	}
	access := f.requests(s)
	switch {
	case scanErr != nil:
	case s.Sampled > 0 && s.Requests+s.Messages == 0:
		hole(audit.Unseen, "No line of it could be understood; name its format in the catalogue, or write a pattern for it.")
	case s.Begins.IsZero() && access:
		hole(audit.Unseen, "None of its lines has a time where an access log has it; check its format in the catalogue.")
	case s.Begins.IsZero():
		hole(audit.Partial, "None of its lines has a time rekey can read; give its formatter one.")
	case access && s.Ends.Before(window.Since) && window.Until.Sub(window.Since) <= quiet:
		// A log may rest for that long.
	case access && e.alive && (s.Ends.Before(window.Since) || !s.Begins.Before(window.Until)):
		// One of several that the entry names, and the others are of the window.
	case access && s.Ends.Before(window.Since):
		hole(audit.Unseen, "It ends at %s, before the window begins; either there was no traffic, or it is logged elsewhere by now.", logs.Moment(s.Ends))
	case access && !s.Begins.Before(window.Until):
		hole(audit.Unseen, "It begins at %s, after the window ends; older parts of it are needed.", logs.Moment(s.Begins))
	case s.Begins.After(window.Since.Add(quiet)) && s.Cut:
		hole(audit.Partial, "It begins at %s; what it held of the time before is gone, or may be.", logs.Moment(s.Begins))
	case s.Begins.After(window.Since.Add(quiet)) && access && len(s.Gaps) == 0:
		hole(audit.Whole, "It begins at %s, after the window does; what happened before it was begun was not logged in it.", logs.Moment(s.Begins))
	}
	return gaps, coverage
}

// reached is how far the logs of one entry of the catalogue reach, together.
type reached struct {
	access  bool
	alive   bool      // one of them has lines in the window, or may have
	begins  time.Time // of the first of them; zero where none of them was seen
	several bool      // logs were read, of this entry or others
}

func reachOf(files []*source, stats []logs.Stats, window audit.Window) map[int]reached {
	all := map[int]reached{}
	for n, f := range files {
		e, s := all[f.entry], stats[n]
		e.access, e.several = e.access || f.requests(s), len(files) > 1
		if inside := !s.Ends.Before(window.Since) && s.Begins.Before(window.Until) && !s.Begins.IsZero(); inside {
			e.alive = true
			if e.begins.IsZero() || s.Begins.Before(e.begins) {
				e.begins = s.Begins
			}
		}
		all[f.entry] = e
	}
	return all
}

// progress is how far a reading came that time ran out on.
func progress(s logs.Stats) string {
	if s.Size == 0 {
		return audit.Count(s.Lines, "line")
	}
	return size(s.Read) + " of " + size(s.Size)
}

// quiet is how long a log in use may be without an entry before its late beginning
// is worth a word.
const quiet = 5 * time.Minute
