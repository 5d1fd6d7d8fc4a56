package usage

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	// maxLine is how much of a line is looked at.
	maxLine = 64 << 10
	// slack is how far neighbouring lines may be out of order.
	slack = time.Minute
)

// readParts hands the uses in the log at path, and in the parts of it that were rotated
// away, to t. A part is read when it was written to since t.from: a program that was not
// told of the rotation goes on writing to a part.
func readParts(ctx context.Context, path string, t *tally) error {
	if err := readPart(ctx, path, t); err != nil {
		return err
	}
	parts, err := rotated(path, t.from)
	if err != nil {
		return err
	}
	for _, part := range parts {
		if err := readPart(ctx, part, t); err != nil {
			return err
		}
	}
	return nil
}

// readPart reads one file.
func readPart(ctx context.Context, path string, t *tally) error {
	// Looking before opening keeps a named pipe from blocking the run for ever.
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errIrregular
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return err
	}
	if info.ModTime().Before(t.from) {
		return nil
	}
	if filepath.Ext(path) == ".gz" {
		return readPacked(ctx, f, info.ModTime(), t)
	}
	c, err := clockOf(f, info.Size(), info.ModTime())
	if err != nil {
		return err
	}
	begin, err := beginning(f, info.Size(), t.from, c)
	if err != nil {
		return err
	}
	// What is appended meanwhile is for the next look.
	return readLines(ctx, io.NewSectionReader(f, begin, info.Size()-begin), c, t)
}

// readPacked reads a part that gzip packed: once for its last time, once for its uses.
func readPacked(ctx context.Context, f *os.File, written time.Time, t *tally) error {
	var c clock
	for _, read := range []func(io.Reader) error{
		func(r io.Reader) (err error) { c, err = clockOfAll(ctx, r, written); return err },
		func(r io.Reader) error { return readLines(ctx, r, c, t) },
	} {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		unpacked, err := gzip.NewReader(bufio.NewReader(f))
		if err != nil {
			return errPacked
		}
		if err := read(unpacked); err != nil {
			return err
		}
	}
	return nil
}

// readLines counts the uses in r. A line without a time has that of the nearest above
// it.
func readLines(ctx context.Context, r io.Reader, c clock, t *tally) error {
	lines := bufio.NewReaderSize(r, maxLine)
	var last time.Time
	timeless := int64(0)
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line, err := lines.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !long && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading: %w", err)
		}
		if at, ok := c.stamp(line); ok {
			last = at
		}
		if name, ok := t.matches(bytes.TrimRight(line, "\r\n")); ok && len(line) > 0 {
			if last.IsZero() {
				timeless++
			}
			t.add(name, last)
		}
		for long { // the rest of a line nobody should write
			_, err = lines.ReadSlice('\n')
			long = errors.Is(err, bufio.ErrBufferFull)
		}
		if errors.Is(err, io.EOF) {
			break
		}
	}
	if timeless > 0 {
		return errTimeless
	}
	return nil
}

// beginning is a place in f such that no line above it is later than from: found in
// steps that double, so that the end of a large log is cheap to read. Lines are taken to
// be in time order, but for slack.
func beginning(f io.ReaderAt, size int64, from time.Time, c clock) (int64, error) {
	buf := make([]byte, maxLine)
	for back := int64(maxLine); back < size; back *= 2 {
		n, err := f.ReadAt(buf, size-back)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		_, rest, _ := bytes.Cut(buf[:n], []byte("\n")) // the first line is cut
		begin := size - back + int64(n-len(rest))
		for line := range bytes.Lines(rest) {
			if at, ok := c.stamp(line); ok {
				if at.Before(from.Add(-slack)) {
					return begin, nil
				}
				break
			}
			begin += int64(len(line))
		}
	}
	return 0, nil
}

// part is what logrotate and its relatives put behind the name of a log.
var part = regexp.MustCompile(`^[.-][0-9][0-9T:._-]*(?:\.(?:gz|xz|zst|bz2))?$`)

// rotated lists the parts of the log at path that were written to since from
// ("app.log.1", "app.log-20261122.gz").
func rotated(path string, from time.Time) ([]string, error) {
	dir, base := filepath.Dir(path), filepath.Base(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var parts []string
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), base); !ok || !part.MatchString(rest) {
			continue
		}
		info, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular() || info.Size() == 0 || info.ModTime().Before(from):
			continue
		}
		switch filepath.Ext(e.Name()) {
		case ".xz", ".zst", ".bz2":
			return nil, errPacked
		}
		parts = append(parts, filepath.Join(dir, e.Name()))
	}
	return parts, nil
}
