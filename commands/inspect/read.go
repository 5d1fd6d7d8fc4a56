package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
}

// open is a log that could be opened.
type open struct {
	*logs.File
	name   string
	format logs.Format
	last   int64 // largest offset of a record handed on; -1 before any
}

// readLogs reads every log in reach, of which the window is the end, joins what they tell of one request, and
// hands the events to j.
func (i *Inspector) readLogs(ctx context.Context, list []secret.Log, window, reach audit.Window, j *judge) reading {
	var r reading
	cover := newCoverage(list)
	var files []*open
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	display := names(list)
	for n, entry := range list {
		file, err := logs.Open(entry.Path, logs.Format(entry.Format))
		if err != nil {
			r.gaps = append(r.gaps, audit.Gap{Source: display[n], Why: why(err)})
			cover.lose(logs.Format(entry.Format))
			continue
		}
		files = append(files, &open{File: file, name: display[n], format: logs.Format(entry.Format), last: -1})
	}
	if !cover.any(logs.Access) {
		r.gaps = append(r.gaps, audit.Gap{Source: "access log", Why: "The catalogue names none for this environment, so an accepted request leaves no trace here; add one."})
	}

	q := logs.Query{Window: reach, Zone: i.cfg.Zone, Workers: i.cfg.Workers}
	for _, e := range j.endpoints {
		q.Endpoints = append(q.Endpoints, logs.Endpoint{Path: e.Path, Method: e.Method})
	}
	stats, errs := i.scan(ctx, files, q, j)
	j.settle(files)
	j.lines.tell(files)

	for n, f := range files {
		gaps, coverage := f.holes(window, stats[n], errs[n], len(files) > 1)
		r.gaps = append(r.gaps, gaps...)
		cover.note(f.format, coverage)
		if f.format == logs.Access && coverage != audit.Unseen && stats[n].Begins.After(window.Since) && stats[n].Begins.After(r.evidence.AccessSince) {
			r.evidence.AccessSince = stats[n].Begins
		}
		r.read = append(r.read, fmt.Sprintf("%s (%s, %s searched)", f.name, size(f.Size()), plural(stats[n].Lines, "line")))
	}
	r.evidence.Access = cover.of(logs.Access)
	r.evidence.Refusals = cover.of(logs.Security, logs.Django)
	return r
}

// scan reads all files at once. Where the deadline came first, the newest records,
// which matter most, are still fetched backwards from the end.
func (i *Inspector) scan(ctx context.Context, files []*open, q logs.Query, j *judge) ([]logs.Stats, []error) {
	sources := make([]logs.Source, len(files))
	for n, f := range files {
		sources[n] = f
	}
	merger := logs.NewMerger(j.add)
	stats, errs := logs.Join(ctx, sources, q, func(source int, r logs.Record) {
		files[source].last = max(files[source].last, r.Offset)
		merger.Add(source, r)
	})
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	for _, t := range unread(grace, files, q, errs) {
		merger.Add(t.source, t.Record)
	}
	merger.Close()
	return stats, errs
}

// graceTime is how long after the deadline the newest records may be fetched.
const graceTime = 300 * time.Millisecond

type tail struct {
	logs.Record
	source int
}

// unread fetches the newest records that an ended scan did not reach, in the order
// they happened.
func unread(ctx context.Context, files []*open, q logs.Query, errs []error) []tail {
	var tails []tail
	for n, f := range files {
		if errs[n] == nil {
			continue
		}
		// A failure here adds nothing to the gap that errs makes.
		records, _, _ := f.Last(ctx, q, keep, audit.InvalidSignature, audit.Denied, audit.Used)
		for _, r := range records {
			if r.Offset > f.last {
				tails = append(tails, tail{Record: r, source: n})
			}
		}
	}
	slices.SortStableFunc(tails, func(a, b tail) int { return a.At.Compare(b.At) })
	return tails
}

// why says in a sentence why a log could not be opened and what to do.
func why(err error) string {
	switch {
	case errors.Is(err, logs.ErrEmpty):
		return "The file is empty, which a service that logs nothing and a wiped log have in common; check that it is still written to."
	case errors.Is(err, fs.ErrNotExist):
		return "The file does not exist; check the path in the catalogue."
	case errors.Is(err, fs.ErrPermission):
		return "rekey may not read the file; let its user read it."
	}
	return "The file could not be opened; it must be a regular file rekey may read."
}

// names are the shortest endings of the paths that tell them apart.
func names(list []secret.Log) []string {
	names := make([]string, len(list))
	for n, entry := range list {
		path := filepath.Clean(entry.Path)
		name := filepath.Base(path)
		for slices.ContainsFunc(list, func(other secret.Log) bool {
			otherPath := filepath.Clean(other.Path)
			return otherPath != path && (otherPath == name || strings.HasSuffix(otherPath, "/"+name))
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

func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return plural(n, "byte")
}

// rotated reports whether older parts of the log at path lie beside it ("access.log.1",
// "access.log-20261122.gz") that were written to inside the window.
func rotated(path string, since time.Time) bool {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return false
	}
	base := filepath.Base(path)
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		rest, ok := strings.CutPrefix(e.Name(), base)
		if !ok || rest == "" || rest[0] != '.' && rest[0] != '-' {
			return false
		}
		info, err := e.Info()
		return err == nil && info.Mode().IsRegular() && info.Size() > 0 && !info.ModTime().Before(since)
	})
}
