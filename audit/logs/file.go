package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// Sizes of reading. Blocks of 2 MiB are read up to a tenth faster than such of 512 KiB, and
// it takes a long file to make good for their memory; 64 KiB of a line hold every header a
// server accepts and bound what a forged line costs.
const (
	blockSize = 512 << 10
	mostBlock = 2 << 20
	allBlocks = 4 << 20 // of all workers together, unless those are many
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

// File is an open file of a log. It keeps reading the file it opened even when that is
// renamed away. It is safe for concurrent use.
type File struct {
	path   string
	format Format
	f      io.ReaderAt
	size   int64
	sizes  sizes
	file   *os.File // nil where f is no file
	// written is when it was last written to, which tells the year of stamps without one.
	written time.Time
	// head is how the file began when it was opened, which tells a file that was
	// truncated and grew again from one that only grew.
	head []byte
	// skip is how many bytes the file has before what is read as its beginning: see
	// skipHole. Size and offsets do not count them.
	skip int64
}

// sizes are the constants above, so that tests can meet every edge with small files.
type sizes struct {
	block, line, tail, budget int
	most, all                 int // bytes of larger blocks, of one and of all workers; 0: block
	whole                     int64
}

// Open opens the file at path, alone; OpenSet opens what was rotated away of it, too. A
// file that is missing or unreadable is an error of package os, one that is no file is
// ErrIrregular, an empty one is ErrEmpty.
func Open(path string, format Format) (*File, error) {
	if !format.Known() {
		return nil, fmt.Errorf("opening log: unknown format %q", format)
	}
	f, info, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("opening log: %w", err)
	}
	l := newFile(path, format, f, info)
	if err := l.begin(); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("opening log: %w", err)
	}
	return l, nil
}

// ErrIrregular reports a pipe, a folder or a device in the place of a log.
var ErrIrregular = errors.New("it is not a regular file")

// openRegular opens a file for reading, and nothing but a file: looking before opening
// keeps devices from noticing, and not blocking keeps a pipe that is put there in
// between from holding up the audit for ever.
func openRegular(path string) (*os.File, os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: %w", path, ErrIrregular)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, ErrIrregular)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func newFile(path string, format Format, f *os.File, info os.FileInfo) *File {
	return &File{path: path, format: format, f: f, file: f, size: info.Size(), written: info.ModTime(), sizes: usual}
}

// usual are the sizes for reading files.
var usual = sizes{block: blockSize, most: mostBlock, all: allBlocks, line: maxLine, tail: 64 << 10, budget: 64 << 20, whole: wholeBelow}

// headSize is how much of a file's beginning is remembered.
const headSize = 4 << 10

// begin remembers how the file begins. A file without a byte is ErrEmpty.
func (l *File) begin() error {
	head := make([]byte, headSize)
	n, err := readAt(l.f, head, 0)
	switch {
	case err != nil:
		return err
	case n == 0:
		return ErrEmpty
	case l.size == 0:
		return fmt.Errorf("%w: it has content but no size, as the files below /proc", ErrIrregular)
	}
	if head[0] == 0 && l.skip == 0 && l.file != nil {
		if err := l.skipHole(); err != nil {
			return err
		}
		if l.skip > 0 {
			return l.begin()
		}
	}
	l.head = head[:min(int64(n), l.size)]
	return nil
}

// skipHole leaves out the NUL bytes at the beginning of a log that was truncated under a
// writer which does not append: it goes on writing where it was, and the file system
// makes a hole of what is before. A hole is longer than what is looked at of a line, so
// that the line behind it would not be seen.
func (l *File) skipHole() error {
	// The system knows where data begins; where it does not, all is read.
	const seekData = 3
	at, err := l.file.Seek(0, seekData)
	if err != nil {
		at = 0
	}
	buf := make([]byte, l.sizes.line)
	for at < l.size {
		n, err := readAt(l.f, buf, at)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if i := bytes.IndexFunc(buf[:n], func(r rune) bool { return r != 0 }); i >= 0 {
			at += int64(i)
			switch {
			case at >= l.size:
				return ErrEmpty // it is being written this moment
			case at <= int64(min(l.sizes.line, headSize)/2):
				return nil // the line behind it is in view
			}
			l.skip = at
			l.f, l.size = shifted{l.file, l.skip}, l.size-l.skip
			return nil
		}
		at += int64(n)
	}
	return ErrEmpty // nothing was written since
}

// shifted reads a file from an offset on.
type shifted struct {
	r    io.ReaderAt
	skip int64
}

func (b shifted) ReadAt(p []byte, offset int64) (int, error) { return b.r.ReadAt(p, b.skip+offset) }

// Path is the path the file was opened by.
func (l *File) Path() string { return l.path }

// Size is the file's size in bytes when it was opened; what was appended later is
// not read.
func (l *File) Size() int64 { return l.size }

// Close closes the file.
func (l *File) Close() error { return l.file.Close() }

// shrunk reports whether the file lost what it held when it was opened: it is shorter,
// or it begins otherwise.
func (l *File) shrunk() bool {
	if l.file == nil {
		return false
	}
	info, err := l.file.Stat()
	if err == nil && info.Size() < l.skip+l.size {
		return true
	}
	head := make([]byte, len(l.head))
	n, err := readAt(l.f, head, 0)
	return err == nil && !bytes.Equal(head[:n], l.head)
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
