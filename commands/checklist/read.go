package checklist

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
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
func (l *logLook) read(ctx context.Context, window audit.Window, add func(*logs.Event), current bool) (problems []string) {
	var sources []logs.Source
	var opened []*log
	defer func() {
		for _, o := range opened {
			o.close()
		}
	}()
	q := logs.Query{Window: window, Zone: l.checklist.deps.Zone, Proxies: l.in.Environment.Proxies}
	for _, e := range l.in.Place.Endpoints {
		q.Endpoints = append(q.Endpoints, logs.Endpoint{Path: e.Path, Method: e.Method})
	}
	for _, entry := range l.in.Environment.Logs {
		list, missing := l.open(ctx, entry, q)
		problems = append(problems, missing...)
		for _, o := range list {
			opened, sources = append(opened, o), append(sources, o)
		}
	}
	merger := logs.NewMerger(add)
	stats, errs := logs.Join(ctx, sources, q, merger.Add)
	merger.Close()
	access, alive := 0, 0
	for n, o := range opened {
		if p := o.doubt(stats[n], errs[n], window.Since); p != "" {
			problems = append(problems, p)
		}
		if o.format == logs.Access || stats[n].Requests > 0 {
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

// log is one log: a file with what was rotated away of it, or what lies on a server.
type log struct {
	source logs.Source // nil for an empty log: nothing was refused, or nothing is logged, which read tells by the other logs
	name   string
	format logs.Format
	query  logs.Query // with what the catalogue says of this log
}

// open opens what an entry of the catalogue names, and says what of it cannot be read.
func (l *logLook) open(ctx context.Context, entry secret.Log, q logs.Query) (list []*log, problems []string) {
	one := &log{name: called(entry), format: logs.Format(entry.Format)}
	var err error
	if one.query, err = q.As(entry.Pattern, entry.Zone); err != nil {
		return nil, []string{trouble(one.name, err)}
	}
	if !entry.File() {
		if one.source, err = logsource.Open(ctx, entry, l.checklist.deps.SentryClient); err != nil {
			return nil, []string{trouble(one.name, err)}
		}
		return []*log{one}, nil
	}
	sets, missing, err := logs.OpenAll(ctx, logs.SetConfig{Path: entry.Path, Format: one.format, Query: one.query})
	switch {
	case errors.Is(err, logs.ErrEmpty):
		return []*log{one}, nil
	case err != nil:
		return nil, []string{trouble(one.name, err)}
	}
	for _, set := range sets {
		list = append(list, &log{source: set, name: set.Name(), format: one.format, query: one.query})
	}
	for _, g := range missing {
		problems = append(problems, cmp.Or(g.Name, one.name)+": "+clause(g.Why))
	}
	return list, problems
}

// called is what people call a log.
func called(entry secret.Log) string {
	if entry.File() {
		return filepath.Base(entry.Path)
	}
	return entry.Name()
}

func (o *log) close() {
	if c, ok := o.source.(io.Closer); ok {
		_ = c.Close() // it was only read
	}
}

// Scan reads nothing from an empty log; only the query it was opened for is asked.
func (o *log) Scan(ctx context.Context, _ logs.Query, yield func(logs.Record) error) (logs.Stats, error) {
	if o.source == nil {
		return logs.Stats{}, nil
	}
	return o.source.Scan(ctx, o.query, yield)
}

// written is when something was last written to the log; ok is false where nobody can tell.
func (o *log) written() (at time.Time, ok bool) {
	switch s := o.source.(type) {
	case nil:
		return time.Time{}, true
	case *logs.Set:
		return s.Written(), true
	}
	return time.Time{}, false
}

// doubt says what makes a log that was read no evidence; "" for nothing.
func (o *log) doubt(s logs.Stats, err error, since time.Time) string {
	for _, g := range s.Gaps {
		if g.Left < audit.Whole {
			return cmp.Or(g.Name, o.name) + ": " + clause(g.Why)
		}
	}
	at, file := o.written()
	var fault *logs.Fault
	switch {
	case errors.As(err, &fault):
		return o.name + ": " + clause(fault.Why)
	case err != nil:
		return fmt.Sprintf("%s could not be read to its end", o.name)
	case s.Truncated:
		return fmt.Sprintf("%s was truncated while it was read", o.name)
	case s.Timeless > 0:
		return fmt.Sprintf("%s in %s carry no time; give its formatter one", audit.Count(s.Timeless, "refusal"), o.name)
	case file && at.Before(since): // nothing was written to it in the window
	case s.Sampled > 0 && s.Requests+s.Messages == 0:
		return fmt.Sprintf("no line of %s could be understood; name its format in the catalogue, or write a pattern for it", o.name)
	case !file: // a server dates what it holds
	case s.Ends.IsZero():
		return fmt.Sprintf("no line of %s has a time that rekey can read", o.name)
	case o.format != logs.Access && at.Sub(s.Ends).Abs() > drift: // an access log names its zone
		return fmt.Sprintf("%s was last written at %s UTC, but its last line says %s; its time zone is not the one rekey is set to",
			o.name, at.UTC().Format(time.TimeOnly), s.Ends.UTC().Format(time.TimeOnly))
	}
	return ""
}

// trouble says in plain words why a log could not be opened.
func trouble(name string, err error) string {
	var fault *logs.Fault
	var pattern *logs.PatternError
	switch {
	case errors.As(err, &pattern):
		return fmt.Sprintf("the catalogue's pattern of %s %s", name, pattern.Fault)
	case errors.As(err, &fault):
		return name + ": " + clause(fault.Why)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s does not exist; check its path in the catalogue", name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("rekey may not read %s", name)
	}
	return fmt.Sprintf("%s could not be opened", name)
}

// clause is a sentence as a part of one.
func clause(sentence string) string { return strings.TrimSuffix(sentence, ".") }
