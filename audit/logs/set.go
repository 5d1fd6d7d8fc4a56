package logs

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// SetConfig says which log to open.
type SetConfig struct {
	// Path is where the service writes.
	Path   string
	Format Format
	// Name is what people call it; "" is the last element of Path.
	Name string
	// Query is what will be asked: parts outside its window are left alone.
	Query Query
	// TrustTimes believes the files' times of writing, as those of a log that a program
	// beside rekey is writing: what was not written to since the window began is left alone,
	// and a log without a line is read like any other. Evidence is not read so: a copy has
	// any time it likes, and a log that was just wiped has no line.
	TrustTimes bool
}

// Set is a log together with what was rotated away of it, packed or not: one stream of
// records in time order. What was opened is read, whatever it is renamed to meanwhile.
// It is safe for concurrent use.
type Set struct {
	name  string
	parts []*part // oldest first
	gaps  []Gap
	query Query
	later time.Time // when what was left alone behind the window begins
}

// OpenSet opens a log and finds its parts beside it, by their names. A part wholly
// outside the window is left alone: the next one begins before the window does and it
// was not written to since, or it begins after the window ends.
//
// A log without a file and without parts is fs.ErrNotExist, one that may not be read
// fs.ErrPermission, a pipe, folder or device ErrIrregular; one that is empty, with all
// its parts, is ErrEmpty. A part that cannot be read is a gap in the Stats of a scan.
func OpenSet(ctx context.Context, cfg SetConfig) (*Set, error) {
	return openSet(ctx, cfg, usual)
}

func openSet(ctx context.Context, cfg SetConfig, sizes sizes) (*Set, error) {
	if !cfg.Format.Known() {
		return nil, fmt.Errorf("opening log: unknown format %q", cfg.Format)
	}
	if cfg.Format == Custom && cfg.Query.Pattern == nil {
		return nil, fmt.Errorf("opening log: %w", errNoPattern)
	}
	cfg.Name = cmp.Or(cfg.Name, filepath.Base(cfg.Path))
	o := &opening{SetConfig: cfg, sizes: sizes, spare: &decoders{}}
	still, err := o.run(ctx)
	if err == nil {
		err = o.nothing()
	}
	if err != nil {
		o.close()
		return nil, fmt.Errorf("opening log: %w", err)
	}
	return o.set(still), nil
}

// nothing is why there is nothing to read; nil where there is, and where times that are
// believed say that nothing was written.
func (o *opening) nothing() error {
	switch {
	case len(o.gaps) > 0 || o.TrustTimes && len(o.found) > 0:
		return nil
	case len(o.parts) == 0:
		return &fs.PathError{Op: "open", Path: o.Path, Err: fs.ErrNotExist}
	case !slices.ContainsFunc(o.parts, func(p *part) bool { return !p.empty() }):
		return ErrEmpty
	}
	return nil
}

// set puts the parts in order, each once.
func (o *opening) set(still bool) *Set {
	s := &Set{name: o.Name, query: o.Query, gaps: o.missing(still)}
	for _, p := range o.parts {
		p.grow(o.Query)
	}
	for _, p := range o.inOrder() {
		twin := slices.IndexFunc(s.parts, p.same)
		switch late := o.Query.Window.Until; {
		case twin >= 0 && p.plain != nil && s.parts[twin].plain == nil: // which can be read anywhere
			s.parts[twin], p = p, s.parts[twin]
			p.close()
		case twin >= 0:
			p.close()
		case !late.IsZero() && !p.begins.IsZero() && !p.begins.Before(late.Add(o.margin())):
			s.leave(p)
		case p.empty() && !p.live() && len(s.parts) > 0:
			s.gaps = append(s.gaps, Gap{
				Name: p.label, Left: whole,
				Why: "The file is empty, which a time without an entry and a wiped log have in common.",
			})
			p.close()
		case p.empty():
			p.close()
		default:
			s.parts = append(s.parts, p)
		}
	}
	slices.Reverse(s.parts)
	return s
}

// leave closes a part that begins after the window ends. When it begins is still known.
func (s *Set) leave(p *part) {
	if s.later.IsZero() || p.begins.Before(s.later) {
		s.later = p.begins
	}
	p.close()
}

// inOrder are the parts, newest first: as their names say, unless their first times
// contradict.
func (o *opening) inOrder() []*part {
	var list []*part
	for _, c := range o.found {
		if p := o.opened(c.info); p != nil && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	for _, p := range o.parts {
		if !slices.Contains(list, p) { // its name is gone: packed or removed since
			list = append(list, p)
		}
	}
	ordered, last := true, time.Time{}
	for _, p := range list {
		if p.begins.IsZero() {
			continue
		}
		ordered = ordered && (last.IsZero() || !p.begins.After(last.Add(slack)))
		last = p.begins
	}
	if !ordered {
		slices.SortStableFunc(list, func(a, b *part) int { return b.time().Compare(a.time()) })
	}
	return list
}

// time is when a part begins, as far as anything tells.
func (p *part) time() time.Time {
	if p.begins.IsZero() {
		return p.info.ModTime()
	}
	return p.begins
}

// Close closes all parts.
func (s *Set) Close() error {
	for _, p := range s.parts {
		p.close()
		if p.archive != nil {
			p.archive.spare.close()
		}
	}
	return nil
}

// Name is what people call the log.
func (s *Set) Name() string { return s.name }

// Parts is how many files the set consists of, as far as the window needs them.
func (s *Set) Parts() int { return len(s.parts) }

// Written is when a file of the set was last written to.
func (s *Set) Written() time.Time {
	var at time.Time
	for _, p := range s.parts {
		if t := p.info.ModTime(); t.After(at) {
			at = t
		}
	}
	return at
}
