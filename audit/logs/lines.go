package logs

import (
	"context"
	"errors"
	"io"
	"time"
)

// Line is a line of a log as it stands there, evidence or not.
type Line struct {
	// Text is as much of it as is looked at, without its end. It is valid until yield
	// returns.
	Text []byte
	// At is the time the line says, or else the nearest above it in its file; zero where
	// none does.
	At time.Time
}

// Lines hands every line of the window to yield, and those of which no line above tells
// that they are not of it: one part after the other, the oldest first. yield is called on
// a thread that stands back, while the caller waits. The query must be the one the set was
// opened for. Where its Zone is nil, times that name no zone are in the one that each file
// tells by its last such time and when it was last written to; where that leaves a doubt, a
// line is taken for later than it is.
//
// What the Stats say and what is an error is as for Scan.
func (s *Set) Lines(ctx context.Context, q Query, yield func(Line) error) (all Stats, err error) {
	var fault any
	done := make(chan struct{})
	go func() {
		defer close(done)
		politely(func() {
			defer func() { fault = recover() }()
			all, err = s.lines(ctx, q, yield)
		})
	}()
	<-done
	if fault != nil {
		panic(fault) // yield's, which is the caller's
	}
	return all, err
}

func (s *Set) lines(ctx context.Context, q Query, yield func(Line) error) (Stats, error) {
	all := s.start()
	for _, p := range s.parts {
		var stats Stats
		var err error
		if p.archive != nil {
			stats, err = p.archive.lines(ctx, q, yield)
		} else {
			stats, err = p.plain.lines(ctx, q, yield)
		}
		all.join(stats)
		var stop *Stopped
		switch {
		case err == nil:
		case errors.As(err, &stop):
			return s.ended(all), stop.Err
		case ctx.Err() != nil:
			return s.ended(all), err
		default:
			all.Gaps = append(all.Gaps, p.unfinished())
		}
	}
	return s.ended(all), nil
}

// lines reads the stretch of the file that the window lies in.
func (l *File) lines(ctx context.Context, q Query, yield func(Line) error) (Stats, error) {
	stats := Stats{Size: l.Size()}
	q, err := l.inZone(q)
	if err != nil {
		return stats, err
	}
	in, err := l.locate(q)
	if err != nil {
		return stats, err
	}
	stats.Begins, stats.Ends, stats.Ordered = in.begins, in.ends, in.ordered
	r := newLineReader(io.NewSectionReader(l.f, in.from, in.to-in.from), l.sizes.line)
	err = r.dated(ctx, l.dialect(q), stats.counting(q, yield))
	stats.Truncated = l.shrunk()
	return stats, err
}

// lines unpacks the archive, and if need be once before to learn its zone. What one that is
// damaged or cut off still shows is handed out; the rest is a gap.
func (a *archive) lines(ctx context.Context, q Query, yield func(Line) error) (Stats, error) {
	stats := Stats{Size: a.size, Ordered: true}
	q, err := a.inZone(ctx, q)
	if err != nil {
		return stats, err
	}
	count := stats.counting(q, yield)
	err = a.unpacked(func(r *lineReader) error {
		return r.dated(ctx, newDialect(a.format, q, a.written), func(line Line) error {
			if stats.Begins.IsZero() {
				stats.Begins = line.At
			}
			stats.Ordered = stats.Ordered && !line.At.Before(stats.Ends.Add(-slack))
			if line.At.After(stats.Ends) {
				stats.Ends = line.At
			}
			return count(line)
		})
	})
	var stop *Stopped
	if err != nil && !errors.As(err, &stop) && ctx.Err() == nil {
		stats.Gaps, err = append(stats.Gaps, a.brokenOff(err, stats.Lines)), nil
	}
	return stats, err
}

// unpacked hands the archive to read from its beginning.
func (a *archive) unpacked(read func(*lineReader) error) error {
	packed, err := unpack(a.packing, io.NewSectionReader(a.file, 0, a.size), a.spare)
	if err != nil {
		return err
	}
	defer packed.close()
	return read(newLineReader(packed, a.sizes.line))
}

// counting counts the lines and hands on those that may lie in the window.
func (s *Stats) counting(q Query, yield func(Line) error) func(Line) error {
	return func(line Line) error {
		s.Lines++
		s.Read += int64(len(line.Text)) + 1
		if !line.At.IsZero() && !q.holds(line.At) {
			return nil
		}
		return yield(line)
	}
}
