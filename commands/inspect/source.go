package inspect

import (
	"context"
	"io"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
	"rekey/commands/logsource"
	"rekey/commands/secret"
)

// source is one log as an audit reads it. All it must do is scan; what else it can do
// it says by having the methods of one of the interfaces below.
type source struct {
	logs.Source
	name   string // what people call it: "nginx/access.log"
	format logs.Format
	entry  int   // of the catalogue's list
	last   int64 // largest offset of a record handed on; -1 before any
	lastAt time.Time
	caught bool // the newest records were fetched that a reading did not reach
	// What the catalogue says of how its lines are written.
	pattern *logs.Pattern
	zone    *time.Location
}

// Scan reads the log as it is written.
func (f *source) Scan(ctx context.Context, q logs.Query, yield func(logs.Record) error) (logs.Stats, error) {
	return f.Source.Scan(ctx, f.asks(q), yield)
}

// asks is q of the log as it is written.
func (f *source) asks(q logs.Query) logs.Query {
	q.Pattern = f.pattern
	if f.zone != nil {
		q.Zone = f.zone
	}
	return q
}

// newest is a source that finds its newest records without reading all: what there was no
// time for is fetched that way.
type newest interface {
	Last(ctx context.Context, q logs.Query, n int, kinds ...audit.Kind) ([]logs.Record, logs.Stats, error)
}

// quoter is a source that can be asked again for a line it handed out. Records of one
// that cannot carry Record.Line and Record.Name.
type quoter interface {
	// Line is the text of the line at an offset.
	Line(offset int64) (string, error)
	// Names are what people call the lines at offsets, which ascend.
	Names(offsets []int64) []string
}

// here reports whether the source's lines lie here: they can be asked for again by offsets
// that last.
func (f *source) here() bool {
	_, ok := f.Source.(quoter)
	return ok
}

// open opens what a catalogue's entry names: one source or several, and what of it
// cannot be read. Without a source, the entry is unseen. Only q will be asked.
func (i *Inspector) open(ctx context.Context, entry secret.Log, name string, q logs.Query) ([]*source, []audit.Gap) {
	format := logs.Format(entry.Format)
	asked, err := q.As(entry.Pattern, entry.Zone)
	if err != nil {
		return nil, []audit.Gap{{Source: name, Why: logs.Why(err)}}
	}
	if !entry.File() {
		opened, err := logsource.Open(ctx, entry, i.cfg.HTTPClient)
		if err != nil {
			return nil, []audit.Gap{{Source: name, Why: err.Error()}}
		}
		return []*source{{Source: opened, name: name, format: format, last: -1, pattern: asked.Pattern, zone: asked.Zone}}, nil
	}
	sets, missing, err := logs.OpenAll(ctx, logs.SetConfig{Path: entry.Path, Format: format, Name: name, Query: asked})
	if err != nil {
		return nil, []audit.Gap{{Source: name, Why: logs.Why(err)}}
	}
	var gaps []audit.Gap
	for _, g := range missing {
		gaps = append(gaps, audit.Gap{Source: g.Name, Why: g.Why})
	}
	var list []*source
	for _, s := range sets {
		list = append(list, &source{Source: s, name: s.Name(), format: format, last: -1, pattern: asked.Pattern, zone: asked.Zone})
	}
	return list, gaps
}

// close ends what the source holds open.
func (f *source) close() {
	if c, ok := f.Source.(io.Closer); ok {
		_ = c.Close() // it was only read
	}
}

// sources are several as package logs takes them.
func sources(list []*source) []logs.Source {
	out := make([]logs.Source, len(list))
	for n, s := range list {
		out[n] = s
	}
	return out
}
