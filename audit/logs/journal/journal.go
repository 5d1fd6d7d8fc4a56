// Package journal reads evidence from journald, where services that write to their standard
// output log without a file. journalctl leaves out what cannot be evidence
// ([logs.Prefilter]) where it can, and prints the rest as JSON; the parsers here judge it as
// they judge a file's lines.
//
// journalctl is a program of the system: it is started without a shell, for as long as a
// Scan may take, and what it prints is bounded. Reading the journal's files here instead
// would mean a second implementation of a format that systemd keeps changing. Formats:
// https://www.freedesktop.org/software/systemd/man/latest/journalctl.html,
// https://systemd.io/JOURNAL_EXPORT_FORMATS/ (JSON), and
// https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html.
package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
)

// Config says which unit's lines are meant.
type Config struct {
	Unit   string      // "leather-api.service"; without a suffix it is a service
	Format logs.Format // of its lines
	// Directory holds the journal's files, as where systemd-journal-remote collects those
	// of other machines; "" is this machine's journal.
	Directory string
	// Program is journalctl's name or path; "" looks it up in PATH.
	Program string
	// Timeout bounds one Scan where the context does not; 0 means a minute.
	Timeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Source reads one unit's part of a journal. It is safe for concurrent use.
type Source struct{ cfg Config }

var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]{0,254}$`)

// ValidUnit reports whether name can be the name of one unit.
func ValidUnit(name string) bool { return unitName.MatchString(name) }

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Source, error) {
	if !ValidUnit(cfg.Unit) {
		return nil, errors.New("journal: the unit must be a name such as leather-api.service")
	}
	if cfg.Directory != "" && !filepath.IsAbs(cfg.Directory) {
		return nil, errors.New("journal: the directory must be an absolute path")
	}
	if !cfg.Format.Known() {
		return nil, fmt.Errorf("unknown format %q", cfg.Format)
	}
	cfg.Program, cfg.Timeout = cmp.Or(cfg.Program, "journalctl"), cmp.Or(cfg.Timeout, time.Minute)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Source{cfg: cfg}, nil
}

// Title is what people call the source.
func (s *Source) Title() string { return "journal " + s.cfg.Unit }

// errEnough ends a run of journalctl that has said what it was asked for.
var errEnough = errors.New("enough")

// Scan hands every record of the window to yield, in the journal's order. Begins is the
// unit's first line; where the journal itself does not reach back to the window, its
// beginning, and Cut. An error is a *[logs.Fault] or yield's; what was handed out before it
// is valid. With an error, a zero Begins means that nothing was read at all.
func (s *Source) Scan(ctx context.Context, q logs.Query, yield func(logs.Record) error) (logs.Stats, error) {
	within, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	lines, err := logs.NewLines(s.Title(), s.cfg.Format, q, yield)
	if err != nil {
		return logs.Stats{}, err
	}
	r := &reading{source: s}
	stats := logs.Stats{Ordered: true}
	from, to := q.Reach(s.cfg.Now())
	if err = r.extent(within, from, to, &stats); err == nil {
		err = r.filtered(within, span(from, to), grep(s.cfg.Format, q), func(e entry) error {
			for _, m := range e.messages {
				if err := lines.Take(m, e.at(), e.Cursor); err != nil {
					return err
				}
			}
			r.reached = e.at()
			return nil
		})
	}
	if err == nil {
		lines.Sample(from, to, func(before time.Time, look func([]byte, time.Time)) error {
			return s.explain(r.sample(within, before, look), time.Time{})
		})
	}
	lines.Tell(&stats)
	stats.Gaps = append(stats.Gaps, r.gaps()...)
	return stats, s.explain(err, r.reached)
}

// Last answers the newest records of the end of the window, oldest first, at most n of each
// kind: see [logs.Newest].
func (s *Source) Last(ctx context.Context, q logs.Query, n int, kinds ...audit.Kind) ([]logs.Record, logs.Stats, error) {
	r := &reading{source: s}
	from, to := q.Recent(s.cfg.Now())
	records, err := logs.Newest(s.Title(), s.cfg.Format, q, n, kinds, func(take func(logs.Message) error) error {
		return r.filtered(ctx, append(span(from, to), "--reverse"), grep(s.cfg.Format, q), func(e entry) error {
			for _, m := range slices.Backward(e.messages) {
				if err := take(logs.Message{Text: m, At: e.at(), Place: e.Cursor}); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return records, logs.Stats{}, s.explain(err, time.Time{})
}

// extent finds where the unit's lines begin and end, and whether the journal reaches back
// to from.
func (r *reading) extent(ctx context.Context, from, to time.Time, stats *logs.Stats) error {
	first := func(args ...string) (at time.Time, err error) {
		err = r.run(ctx, args, func(e entry) error {
			at = e.received()
			return errEnough
		})
		if errors.Is(err, errEnough) {
			err = nil
		}
		return at, err
	}
	begins, err := first(r.unit())
	if err != nil {
		return err
	}
	if begins.IsZero() {
		return &logs.Fault{Why: "The journal has no line of " + r.source.cfg.Unit + "; check the unit's name, and that this machine is the one it runs on."}
	}
	oldest, err := first()
	if err != nil {
		return err
	}
	ends, err := first(newest(1, r.unit(), to)...)
	if err != nil {
		return err
	}
	stats.Begins, stats.Ends = begins, ends
	if oldest.After(from) {
		stats.Begins, stats.Cut = oldest, true
	}
	if ends.IsZero() { // all of its lines are later
		stats.Ends = stats.Begins
	}
	return nil
}

// sample hands the unit's newest lines before to to look, however old they are.
func (r *reading) sample(ctx context.Context, to time.Time, look func(message []byte, at time.Time)) error {
	return r.run(ctx, newest(logs.SampleLines, r.unit(), to), func(e entry) error {
		for _, m := range e.messages {
			look(m, e.at())
		}
		return nil
	})
}

// gaps says what journalctl itself left out.
func (r *reading) gaps() []logs.Gap {
	var list []logs.Gap
	if r.hidden {
		list = append(list, logs.Gap{
			Why:  "rekey's user may see only a part of the journal; add it to the group systemd-journal.",
			Left: audit.Partial,
		})
	}
	if r.damaged != "" {
		list = append(list, logs.Gap{
			Why:  "Files of the journal are damaged (" + r.damaged + "); journalctl --verify says which, and lines in them may be missing.",
			Left: audit.Partial,
		})
	}
	if r.long > 0 {
		list = append(list, logs.Gap{
			Why:  fmt.Sprintf("%d of its entries are longer than 8 MiB and were not looked at; nothing should log such entries.", r.long),
			Left: audit.Partial,
		})
	}
	if r.unfiltered {
		list = append(list, logs.Gap{
			Why:  "This journalctl cannot search (it was built without it), so every line of the unit was looked at here; nothing is missing, but it takes longer.",
			Left: audit.Whole,
		})
	}
	return list
}
