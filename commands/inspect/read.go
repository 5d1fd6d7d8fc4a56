package inspect

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
	"rekey/commands/secret"
)

// reading is what became of the logs.
type reading struct {
	read     []string
	gaps     []audit.Gap
	evidence audit.Evidence // coverage only
	moved    bool           // a log was truncated under the reading
	exposed  []audit.Exposure
}

// readLogs reads every log in reach, of which the window is the end, joins what they tell of one request, and
// hands the events to j. last says that it is not read again if a log moved meanwhile.
func (i *Inspector) readLogs(ctx context.Context, list []secret.Log, window, reach audit.Window, j *judge, traced func() tracing, last bool) reading {
	var r reading
	cover := newCoverage()
	var files []*source
	defer func() {
		for _, f := range files {
			f.close()
		}
	}()
	q := logs.Query{Window: reach, Zone: i.cfg.Zone, Proxies: j.proxies, Workers: i.cfg.Workers, Readers: i.readers}
	for _, e := range j.endpoints {
		q.Endpoints = append(q.Endpoints, logs.Endpoint{Path: e.Path, Method: e.Method})
	}
	display := names(list)
	for n, entry := range list {
		opened, gaps := i.open(ctx, entry, display[n], q)
		for _, f := range opened {
			f.entry = n
		}
		files = append(files, opened...)
		r.gaps = append(r.gaps, gaps...)
		if len(opened) > 0 && len(gaps) == 0 {
			continue
		}
		pattern, _ := logs.ParsePattern(entry.Pattern) // a fault of it is among the gaps
		seen := audit.Partial
		if len(opened) == 0 {
			seen = audit.Unseen
		}
		cover.note(mayHold(pattern, logs.Format(entry.Format)), seen)
	}

	stats, errs := i.scan(ctx, files, q, j)
	j.settle(files)
	r.moved = slices.ContainsFunc(stats, func(s logs.Stats) bool { return s.Truncated })
	if !r.moved || last || ctx.Err() != nil { // else all is read once more
		j.lines.tell(files)
		if tracer := traced().tracer; tracer != nil {
			e := i.expose(ctx, files, q, tracer)
			r.exposed, r.evidence.Exposed, r.gaps = e.list, e.lines, append(r.gaps, e.gaps...)
		}
	}

	reached := reachOf(files, stats, window)
	for n, f := range files {
		gaps, coverage := f.holes(window, stats[n], errs[n], reached[f.entry])
		r.gaps = append(r.gaps, gaps...)
		cover.note(f.holds(stats[n]), coverage)
		r.read = append(r.read, fmt.Sprintf("%s (%s)", f.name, f.extent(stats[n])))
	}
	for _, e := range reached {
		if e.access && e.begins.After(window.Since) && e.begins.After(r.evidence.AccessSince) {
			r.evidence.AccessSince = e.begins
		}
	}
	if !cover.any(accepted) {
		r.gaps = append(r.gaps, noAccess(list))
	}
	r.evidence.Access = cover.of(accepted)
	r.evidence.Refusals = cover.of(refused)
	return r
}

// scan reads all files at once. Where time ran out, the newest records, which matter
// most, are still fetched backwards from the end.
func (i *Inspector) scan(ctx context.Context, files []*source, q logs.Query, j *judge) ([]logs.Stats, []error) {
	merger := logs.NewMerger(j.add)
	stats, errs := logs.Join(ctx, sources(files), q, func(source int, r logs.Record) {
		f := files[source]
		if f.last = max(f.last, r.Offset); r.At.After(f.lastAt) {
			f.lastAt = r.At
		}
		merger.Add(source, r)
	})
	for _, t := range unread(ctx, files, q, errs) {
		merger.Add(t.source, t.Record)
	}
	merger.Close()
	return stats, errs
}

// How long, after time ran out, the newest records may be fetched: from a file, and from
// what is asked elsewhere.
const (
	graceTime   = 300 * time.Millisecond
	serverGrace = 5 * time.Second
)

type tail struct {
	logs.Record
	source int
}

// unread fetches the newest records that an ended scan did not reach, in the order
// they happened. Whoever stopped the scan does not wait for a server.
func unread(ctx context.Context, files []*source, q logs.Query, errs []error) []tail {
	found := make([][]logs.Record, len(files))
	var wg sync.WaitGroup
	for n, f := range files {
		back, ok := f.Source.(newest)
		here := f.here()
		if errs[n] == nil || !ok || !here && errors.Is(ctx.Err(), context.Canceled) {
			continue
		}
		grace := serverGrace
		if here {
			grace = graceTime
		}
		wg.Go(func() {
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
			defer cancel()
			// A failure here adds nothing to the gap that errs makes.
			var err error
			found[n], _, err = back.Last(within, f.asks(q), keep, audit.InvalidSignature, audit.Denied, audit.Used)
			// A server that has nothing may not have been asked for what it has.
			f.caught = err == nil && (here || len(found[n]) > 0)
		})
	}
	wg.Wait()
	var tails []tail
	for n, f := range files {
		for _, r := range found[n] {
			if f.passed(&r) {
				tails = append(tails, tail{Record: r, source: n})
			}
		}
	}
	slices.SortStableFunc(tails, func(a, b tail) int { return a.At.Compare(b.At) })
	return tails
}

// passed reports whether r, of the newest records, lies behind those that were handed on. A
// source that cannot be asked for a line again has no offsets that last: there the time
// tells, and r is numbered anew.
func (f *source) passed(r *logs.Record) bool {
	if f.here() {
		return r.Offset > f.last
	}
	if !r.At.After(f.lastAt) {
		return false
	}
	f.last++
	r.Offset = f.last
	return true
}

// names are the shortest endings of the paths that tell them apart.
func names(list []secret.Log) []string {
	names := make([]string, len(list))
	for n, entry := range list {
		if !entry.File() {
			names[n] = entry.Name()
			continue
		}
		path := filepath.Clean(entry.Path)
		name := filepath.Base(path)
		for slices.ContainsFunc(list, func(other secret.Log) bool {
			otherPath := filepath.Clean(other.Path)
			return other.File() && otherPath != path && (otherPath == name || strings.HasSuffix(otherPath, "/"+name))
		}) && name != path {
			rest := strings.TrimSuffix(strings.TrimSuffix(path, name), "/")
			if rest == "" {
				name = path
				break
			}
			name = filepath.Base(rest) + "/" + name
		}
		names[n] = name
	}
	return names
}

// extent is how much of a source was read, in words: "2.1 MB in 3 files, 8,112 lines
// searched". A log server searches by itself; then it is "1.2 GB scanned, 812 lines matched".
func (f *source) extent(s logs.Stats) string {
	files := ""
	if set, ok := f.Source.(*logs.Set); ok && set.Parts() > 1 {
		files = fmt.Sprintf(" in %d files", set.Parts())
	}
	switch lines := audit.Count(s.Lines, "line"); {
	case s.Size > 0:
		return size(s.Size) + files + ", " + lines + " searched"
	case s.Read > 0:
		return size(s.Read) + " scanned, " + audit.Count(s.Matched, "line") + " matched"
	case s.Matched > 0:
		return audit.Count(s.Matched, "line") + " matched"
	default:
		return lines + " searched"
	}
}

func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return audit.Count(n, "byte")
}
