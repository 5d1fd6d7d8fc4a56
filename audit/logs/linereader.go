package logs

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"
)

// lineReader reads a stream line by line, from the beginning of one.
type lineReader struct {
	buf   *bufio.Reader
	limit int
	reads int
	long  bool // what was read last goes on
}

// newLineReader answers a reader that looks at limit bytes of a line.
func newLineReader(r io.Reader, limit int) *lineReader {
	return &lineReader{buf: bufio.NewReaderSize(r, limit), limit: limit}
}

// dated hands every line to take, with its time or the nearest above it. An error of
// take's is a *Stopped.
func (r *lineReader) dated(ctx context.Context, d *dialect, take func(Line) error) error {
	var last time.Time
	return r.each(ctx, func(line []byte) error {
		if at, ok := d.stamp(line); ok {
			last = at
		}
		if err := take(Line{Text: line, At: last}); err != nil {
			return &Stopped{Err: err}
		}
		return nil
	})
}

// each hands every line to take.
func (r *lineReader) each(ctx context.Context, take func(line []byte) error) error {
	for {
		line, err := r.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := take(trimLine(line, r.limit)); err != nil {
			return err
		}
	}
}

// patience is how often is read before it is asked whether the reading was stopped.
const patience = 1024

// next answers the next line, as much of it as is looked at; io.EOF is the end.
func (r *lineReader) next(ctx context.Context) ([]byte, error) {
	for {
		if r.reads++; r.reads%patience == 1 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		line, err := r.buf.ReadSlice('\n')
		goesOn := r.long
		r.long = errors.Is(err, bufio.ErrBufferFull)
		switch {
		case err == nil && goesOn, r.long && goesOn: // the rest of a line nobody should write
			continue
		case err == nil:
			return line[:len(line)-1], nil
		case r.long:
			return line, nil
		case errors.Is(err, io.EOF) && len(line) > 0 && !goesOn:
			return line, nil // it is being written this moment
		}
		return nil, err
	}
}
