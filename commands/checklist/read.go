package checklist

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
	"rekey/commands/logsource"
	"rekey/commands/secret"
)

// drift is how far the last time in a log may lie from when the file was last written
// before its zone is doubted.
const drift = 10 * time.Minute

// read hands the events of a window to add and answers, in plain words, what of the
// environment's logs could not be read. current asks for logs that are written to now.
func (l *logLook) read(ctx context.Context, window audit.Window, add func(logs.Event), current bool) (problems []string) {
	var sources []logs.Source
	var opened []*log
	defer func() {
		for _, o := range opened {
			o.close()
		}
	}()
	for _, entry := range l.in.Environment.Logs {
		o, err := l.open(ctx, entry, window.Since)
		if err != nil {
			problems = append(problems, trouble(called(entry), err))
			continue
		}
		opened, sources = append(opened, o), append(sources, o)
	}
	q := logs.Query{Window: window, Zone: l.checklist.deps.Zone}
	for _, e := range l.in.Place.Endpoints {
		q.Endpoints = append(q.Endpoints, logs.Endpoint{Path: e.Path, Method: e.Method})
	}
	merger := logs.NewMerger(add)
	stats, errs := logs.Join(ctx, sources, q, merger.Add)
	merger.Close()
	access, alive := 0, 0
	for n, o := range opened {
		if p := o.doubt(stats[n], errs[n], window.Since); p != "" {
			problems = append(problems, p)
		}
		if o.format == logs.Access {
			access++
			if !stats[n].Ends.Before(window.Since) {
				alive++
			}
		}
	}
	if current && access > 0 && alive == 0 {
		problems = append(problems, "no access log has a line since the change, so requests are not logged or logged elsewhere")
	}
	return problems
}

// log is one log with the parts of it that were rotated away, read as one: two lines by
// one program are two requests, whichever part they stand in.
type log struct {
	name      string
	format    logs.Format
	elsewhere logs.Source  // what the log is if it is no file
	parts     []*logs.File // oldest first
	mtime     time.Time
}

// errPacked: a part of a log was packed away.
var errPacked = errors.New("packed")

func (l *logLook) open(ctx context.Context, entry secret.Log, since time.Time) (*log, error) {
	if entry.File() {
		return openLog(entry, since)
	}
	source, err := logsource.Open(ctx, entry, l.checklist.deps.SentryClient)
	if err != nil {
		return nil, err
	}
	return &log{name: called(entry), format: logs.Format(entry.Format), elsewhere: source}, nil
}

// called is what people call a log.
func called(entry secret.Log) string {
	if entry.File() {
		return filepath.Base(entry.Path)
	}
	return entry.Name()
}

// openLog opens the log and what was rotated away since the window began. An empty file
// is a log without parts: nothing was refused, or nothing is logged, which read tells by
// the other logs.
func openLog(entry secret.Log, since time.Time) (_ *log, err error) {
	o := &log{name: called(entry), format: logs.Format(entry.Format)}
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	paths, err := rotated(entry.Path, since)
	if err != nil {
		return nil, err
	}
	for _, path := range append(paths, entry.Path) {
		f, err := logs.Open(path, o.format)
		if errors.Is(err, logs.ErrEmpty) {
			continue
		}
		if err != nil {
			return nil, err
		}
		o.parts = append(o.parts, f)
		if info, err := os.Stat(path); err == nil && info.ModTime().After(o.mtime) {
			o.mtime = info.ModTime()
		}
	}
	return o, nil
}

func (o *log) close() {
	for _, f := range o.parts {
		_ = f.Close() // it was only read
	}
}

// Scan reads the parts one after the other.
func (o *log) Scan(ctx context.Context, q logs.Query, yield func(logs.Record) error) (logs.Stats, error) {
	if o.elsewhere != nil {
		return o.elsewhere.Scan(ctx, q, yield)
	}
	var all logs.Stats
	for _, f := range o.parts {
		s, err := f.Scan(ctx, q, yield)
		if s.Ends.After(all.Ends) {
			all.Ends = s.Ends
		}
		if all.Begins.IsZero() {
			all.Begins = s.Begins
		}
		all.Size += s.Size
		all.Timeless += s.Timeless
		all.Truncated = all.Truncated || s.Truncated || f.Replaced() && f == o.parts[len(o.parts)-1]
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// doubt says what makes a log that was read no evidence; "" for nothing.
func (o *log) doubt(s logs.Stats, err error, since time.Time) string {
	var fault *logs.Fault
	switch {
	case errors.As(err, &fault):
		return o.name + ": " + clause(fault.Why)
	case o.elsewhere != nil && err == nil:
		for _, g := range s.Gaps {
			if g.Left != audit.Whole {
				return o.name + ": " + clause(g.Why)
			}
		}
		return ""
	case err != nil:
		return fmt.Sprintf("%s could not be read to its end", o.name)
	case s.Truncated:
		return fmt.Sprintf("%s was rotated while it was read", o.name)
	case s.Timeless > 0:
		return fmt.Sprintf("%s in %s carry no time; give its formatter one", plural(int(s.Timeless), "refusal"), o.name)
	case o.mtime.Before(since): // nothing was written to it in the window
	case s.Ends.IsZero():
		return fmt.Sprintf("no line of %s has a time that rekey can read", o.name)
	case o.format != logs.Access && o.mtime.Sub(s.Ends).Abs() > drift: // an access log names its zone
		return fmt.Sprintf("%s was last written at %s UTC, but its last line says %s; its time zone is not the one rekey is set to",
			o.name, o.mtime.UTC().Format(time.TimeOnly), s.Ends.UTC().Format(time.TimeOnly))
	}
	return ""
}

// trouble says in plain words why a log could not be opened.
func trouble(name string, err error) string {
	var fault *logs.Fault
	switch {
	case errors.As(err, &fault):
		return name + ": " + clause(fault.Why)
	case errors.Is(err, errPacked):
		return fmt.Sprintf("a part of %s that was rotated away is packed; keep one unpacked (logrotate's delaycompress)", name)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s does not exist; check its path in the catalogue", name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("rekey may not read %s", name)
	}
	return fmt.Sprintf("%s could not be opened", name)
}

// part is what logrotate and its relatives put behind the name of a log.
var part = regexp.MustCompile(`^[.-][0-9][0-9T:._-]*(\.(?:gz|xz|zst|bz2))?$`)

// rotated lists the parts of the log at path that were written to since, oldest first;
// errPacked when one of them cannot be read as it is.
func rotated(path string, since time.Time) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	type found struct {
		path string
		at   time.Time
	}
	var parts []found
	for _, e := range entries {
		base := filepath.Base(path)
		if len(e.Name()) <= len(base) || e.Name()[:len(base)] != base {
			continue
		}
		named := part.FindStringSubmatch(e.Name()[len(base):])
		if named == nil {
			continue
		}
		info, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular() || info.Size() == 0 || info.ModTime().Before(since):
			continue
		case named[1] != "":
			return nil, errPacked
		}
		parts = append(parts, found{filepath.Join(filepath.Dir(path), e.Name()), info.ModTime()})
	}
	slices.SortFunc(parts, func(a, b found) int { return a.at.Compare(b.at) })
	var paths []string
	for _, p := range parts {
		paths = append(paths, p.path)
	}
	return paths, nil
}

// clause is a sentence as a part of one.
func clause(sentence string) string { return strings.TrimSuffix(sentence, ".") }
