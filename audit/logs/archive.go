package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// archive is a packed part of a log. It is read once, from its beginning, by the code
// that reads files.
type archive struct {
	name   string // for people
	format Format
	packing
	file    *os.File
	size    int64 // packed
	written time.Time
	sizes   sizes
	spare   *decoders
	wide    bool // unpacking it takes much memory
}

const (
	// archiveBlock is smaller than the blocks of files: unpacking is slow beside
	// searching, and several archives are read at once.
	archiveBlock = 128 << 10
	// quoted is how much of a line goes with its record, as there is no going back for it.
	quoted = 1 << 10
)

// scan is as File.Scan. Its records carry their line, and their place by line number.
// What an archive that is damaged or cut off still shows counts; the rest is a gap.
func (a *archive) scan(ctx context.Context, q Query, yield func(Record) error) (Stats, error) {
	stats := Stats{Size: a.size, Ordered: true}
	packed, err := unpack(a.packing, io.NewSectionReader(a.file, 0, a.size), a.spare)
	if err != nil {
		stats.Gaps = append(stats.Gaps, a.brokenOff(err, 0))
		return stats, nil
	}
	defer packed.close()
	text := newRolling(packed, a.sizes.block+2*a.sizes.line+8)
	b := newBlock(&File{path: a.name, format: a.format, f: text, sizes: a.sizes, written: a.written}, q, int64(a.sizes.block))
	late := q.Window.Until.Add(margin(q.zone()))
	lines := lineCounter{text: text}
	step := int64(a.sizes.block)
	for lo := int64(0); ; lo += step {
		if ctx.Err() != nil {
			return stats, context.Cause(ctx)
		}
		text.forget(lo - int64(a.sizes.line) - 2)
		var f found
		q.Readers.enter()
		err := b.search(lo, lo+step, &f)
		q.Readers.leave()
		if err != nil {
			return stats, fmt.Errorf("reading %s: %w", a.name, err)
		}
		stats.add(f)
		if !a.format.telling() {
			b.sample(&stats)
		}
		for _, r := range f.records {
			r.Name = fmt.Sprintf("%s:%d", a.name, lines.before(r.Offset)+1)
			line := lineAt(text.held(r.Offset, r.Offset+int64(a.sizes.line)), 0, a.sizes.line)
			r.Line = string(line[:min(quoted, len(line))])
			if err := yield(r); err != nil {
				return stats, err
			}
		}
		lines.before(lo + step)
		if first, ok := b.firstTime(); ok {
			if stats.Begins.IsZero() {
				stats.Begins = first
			}
			stats.Ordered = stats.Ordered && !first.Before(stats.Ends.Add(-slack))
			if last := b.above(b.end); last.ok {
				stats.Ends = last.at
			}
			if stats.Ordered && !q.Window.Until.IsZero() && !first.Before(late) {
				return stats, nil // the rest is later still
			}
		}
		if end, ok := text.end(); ok && lo+step >= end {
			break
		}
	}
	if err := text.broken(); err != nil {
		stats.Gaps = append(stats.Gaps, a.brokenOff(err, stats.Lines))
	}
	return stats, nil
}

func (a *archive) brokenOff(err error, lines int64) Gap {
	g := Gap{Name: a.name, Left: partial}
	var disk *fs.PathError
	switch what := brokenWhy(err); {
	case errors.As(err, &disk):
		g.Why = "The disk does not give it back; check the disk."
	case what[len(what)-1] == '.':
		g.Why = what
	case lines == 0:
		g.Why = what + " at its beginning, so that nothing of it could be read; look for a copy of it."
	default:
		g.Why = fmt.Sprintf("%s after line %d; what stands before that was read, what follows is lost. Look for a copy of it.", what, lines)
	}
	return g
}

// lineCounter counts the lines of what rolls by.
type lineCounter struct {
	text *rolling
	at   int64
	seen int64
}

// before is the number of lines that end before offset, which must not descend.
func (c *lineCounter) before(offset int64) int64 {
	c.seen += count(c.text.held(c.at, offset))
	c.at = offset
	return c.seen
}
