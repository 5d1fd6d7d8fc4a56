package inspect

import (
	"context"
	"io"

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
	last   int64 // largest offset of a record handed on; -1 before any
}

// newest is a source that finds its newest records without reading all: what a deadline
// leaves out is fetched that way.
type newest interface {
	Last(ctx context.Context, q logs.Query, n int, kinds ...audit.Kind) ([]logs.Record, logs.Stats, error)
}

// quoter is a source that can be asked again for a line it handed out. Records of one
// that cannot carry Record.Line and Record.Name.
type quoter interface {
	// Line is the text of the line at an offset.
	Line(offset int64) (string, error)
	// Names are what people call the lines at offsets, which ascend, in a source they
	// call name.
	Names(name string, offsets []int64) []string
}

// open opens what a catalogue's entry names: one source or several, and what of it
// cannot be read. Without a source, the entry is unseen. Only reach will be asked for.
func (i *Inspector) open(ctx context.Context, entry secret.Log, name string, _ audit.Window) ([]*source, []audit.Gap) {
	format := logs.Format(entry.Format)
	if !entry.File() {
		opened, err := logsource.Open(ctx, entry, i.cfg.HTTPClient)
		if err != nil {
			return nil, []audit.Gap{{Source: name, Why: err.Error()}}
		}
		return []*source{{Source: opened, name: name, format: format, last: -1}}, nil
	}
	file, err := logs.Open(entry.Path, format)
	if err != nil {
		return nil, []audit.Gap{{Source: name, Why: why(err)}}
	}
	return []*source{{Source: file, name: name, format: format, last: -1}}, nil
}

// close ends what the source holds open.
func (s *source) close() {
	if c, ok := s.Source.(io.Closer); ok {
		_ = c.Close() // it was only read
	}
}

// sources are several as package logs takes them.
func sources(list []*source) []logs.Source {
	out := make([]logs.Source, len(list))
	for n, s := range list {
		out[n] = s.Source
	}
	return out
}
