package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Sizes of reading. 512 KiB a block is where reading stops getting faster; 64 KiB
// of a line hold every header a server accepts and bound what a forged line costs.
const (
	blockSize = 512 << 10
	maxLine   = 64 << 10
	// slack is how far apart in time neighbouring lines may be out of order: servers
	// write a request when it ends, some with the time it began.
	slack = time.Minute
	// wholeBelow is the size up to which a file is read whole instead of bisected.
	wholeBelow = 4 << 20
)

// ErrEmpty reports a file without a single byte, which is no evidence of quiet: a
// log that was just wiped looks the same.
var ErrEmpty = errors.New("the file is empty")

// File is an open log. It keeps reading the file it opened even when that is
// renamed away. It is safe for concurrent use.
type File struct {
	path   string
	format Format
	f      *os.File
	info   os.FileInfo
	sizes  sizes
}

// sizes are the constants above, so that tests can meet every edge with small files.
type sizes struct {
	block, line, tail, budget int
	whole                     int64
}

// Open opens the log at path. A file that is missing, unreadable or not regular is
// an error of package os; an empty one is ErrEmpty.
func Open(path string, format Format) (*File, error) {
	switch format {
	case Security, Django, Access:
	default:
		return nil, fmt.Errorf("opening log: unknown format %q", format)
	}
	// Looking before opening keeps a named pipe from blocking the audit for ever.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening log: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("opening log: %s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening log: %w", err)
	}
	if info, err = f.Stat(); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("opening log: %w", err)
	}
	if info.Size() == 0 {
		_ = f.Close()
		return nil, fmt.Errorf("opening log: %w", ErrEmpty)
	}
	return &File{
		path: path, format: format, f: f, info: info,
		sizes: sizes{block: blockSize, line: maxLine, tail: 64 << 10, budget: 64 << 20, whole: wholeBelow},
	}, nil
}

// Path is the path the file was opened by.
func (l *File) Path() string { return l.path }

// Size is the file's size in bytes when it was opened; what was appended later is
// not read.
func (l *File) Size() int64 { return l.info.Size() }

// Close closes the file.
func (l *File) Close() error { return l.f.Close() }

// Replaced reports whether the path now leads to another file than the one that was
// opened, as after a log rotation.
func (l *File) Replaced() bool {
	info, err := os.Stat(l.path)
	return err != nil || !os.SameFile(info, l.info)
}

// shrunk reports whether the file lost bytes since it was opened.
func (l *File) shrunk() bool {
	info, err := l.f.Stat()
	return err == nil && info.Size() < l.info.Size()
}

// Line is the text of the line that begins at offset, as much as is looked at.
func (l *File) Line(offset int64) (string, error) {
	most := min(int64(l.sizes.line), max(0, l.Size()-offset))
	for size := min(shortLine, most); ; size = most { // few are long
		buf := make([]byte, size)
		n, err := readAt(l.f, buf, offset)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", l.path, err)
		}
		if size == most || bytes.IndexByte(buf[:n], '\n') >= 0 {
			return string(lineAt(buf[:n], 0, l.sizes.line)), nil
		}
	}
}

// shortLine is how much of a line is read at first.
const shortLine = 2 << 10

// LineNumbers answers the line number of each offset, which must ascend and lie at
// line starts. It reads the file up to the last offset, so callers ask only for
// offsets near the beginning.
func (l *File) LineNumbers(offsets []int64) ([]int64, error) {
	numbers := make([]int64, len(offsets))
	buf := make([]byte, l.sizes.block)
	var at, seen int64
	for i, offset := range offsets {
		for at < offset {
			n, err := readAt(l.f, buf[:min(int64(len(buf)), offset-at)], at)
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", l.path, err)
			}
			if n == 0 {
				return nil, fmt.Errorf("reading %s: %w", l.path, io.ErrUnexpectedEOF)
			}
			seen += int64(bytes.Count(buf[:n], newline))
			at += int64(n)
		}
		numbers[i] = seen + 1
	}
	return numbers, nil
}

var newline = []byte{'\n'}

// readAt is ReadAt for a file that may end early: what is missing is no error.
func readAt(r io.ReaderAt, buf []byte, offset int64) (int, error) {
	n, err := r.ReadAt(buf, offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// lineAt is the line of data that begins at start, without its end and cut to limit.
// NUL bytes before it are skipped: a log truncated under its writer has a hole there.
func lineAt(data []byte, start, limit int) []byte {
	line := data[start:]
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	return trimLine(line, limit)
}

func trimLine(line []byte, limit int) []byte {
	if len(line) > limit {
		line = line[:limit]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) > 0 && line[0] == 0 {
		line = bytes.TrimLeft(line, "\x00")
	}
	return line
}
