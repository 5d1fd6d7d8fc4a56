package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"rekey/audit"
)

const (
	partial = audit.Partial
	whole   = audit.Whole
)

// part is one file of a rotated set, open.
type part struct {
	member
	path, name string
	label      string      // what people call it: "nginx/access.log.2.gz"
	info       os.FileInfo // of what was opened
	raw        *os.File
	plain      *File    // one of the two,
	archive    *archive // or neither for an empty file
	head       []byte   // how the text begins
	begins     time.Time
	listed     bool // it still has a name
}

// open opens a candidate, whatever its name has come to lead to, and finds out when it
// begins. An error names why it cannot be read, in the terms of why.
func (o *opening) open(c candidate) (*part, error) {
	raw, info, err := openRegular(c.path)
	if err != nil {
		return nil, err
	}
	p := &part{member: c.member, path: c.path, name: c.name, label: o.label(c.name), info: info, raw: raw, listed: true}
	if err := p.look(o); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return p, nil
}

// look reads the beginning of the file.
func (p *part) look(o *opening) error {
	p.plain, p.archive, p.head, p.begins = nil, nil, nil, time.Time{}
	l := newFile(p.path, o.Format, p.raw, p.info)
	l.sizes = o.sizes
	err := l.begin()
	if errors.Is(err, ErrEmpty) {
		return nil
	}
	if err != nil {
		return err
	}
	packed, err := packingOf(l.head)
	if err != nil {
		return err
	}
	if packed == "" {
		if p.packed && !isText(l.head) {
			return errNotPacked
		}
		p.plain, p.head = l, l.head
		p.begins, err = firstTimeOf(l, o.Query)
		return err
	}
	sizes := o.sizes
	sizes.block = min(sizes.block, archiveBlock)
	p.archive = &archive{name: p.label, format: o.Format, packing: packed, file: p.raw, size: p.info.Size(), written: p.info.ModTime(), sizes: sizes, spare: o.spare, wide: packed == zstded && wide(l.head)}
	return p.peek(o)
}

// peek unpacks the beginning of an archive, little first: nearly always the first line
// tells the time. One that is damaged so early says so when it is scanned.
func (p *part) peek(o *opening) error {
	packed, err := unpack(p.archive.packing, io.NewSectionReader(p.raw, 0, p.archive.size), o.spare)
	if err != nil {
		return nil
	}
	defer packed.close()
	text := make([]byte, maxLine)
	n := 0
	for _, reach := range []int{headSize, maxLine} {
		m, err := io.ReadFull(packed, text[n:reach])
		n += m
		l := &File{path: p.path, format: o.Format, f: bytes.NewReader(text[:n]), size: int64(n), sizes: o.sizes, written: p.info.ModTime()}
		at, _ := firstTimeOf(l, o.Query)
		if p.head, p.begins = text[:min(n, headSize)], at; !at.IsZero() || err != nil {
			break
		}
	}
	p.head = bytes.Clone(p.head)
	return nil
}

// firstTimeOf is the first time in a file; zero where none is near its beginning.
func firstTimeOf(l *File, q Query) (time.Time, error) {
	p := &prober{file: l, dialect: l.dialect(q)}
	first, err := p.timedFrom(0)
	return first.at, err
}

// errNotPacked reports a file whose name says that it is packed, and whose content is
// neither that nor text.
var errNotPacked = errors.New("not packed as its name says")

func (p *part) empty() bool { return p.plain == nil && p.archive == nil }

// changed reports whether the file, which keeps its place on the disk, no longer holds
// what it held: a log that was copied and truncated.
func (p *part) changed() bool {
	info, err := p.raw.Stat()
	if err != nil {
		return false
	}
	if p.empty() {
		return info.Size() != p.info.Size()
	}
	if p.archive != nil {
		return info.Size() != p.archive.size // still being packed when it was opened
	}
	return p.plain.shrunk()
}

// grow takes in what was appended since the file was opened. One that begins otherwise
// by now was truncated, and stays as it was opened: its reading will notice.
func (p *part) grow(q Query) {
	info, err := p.raw.Stat()
	if err != nil || p.plain == nil || info.Size() <= p.plain.skip+p.plain.size {
		return
	}
	head := make([]byte, headSize)
	n, err := readAt(p.plain.f, head, 0)
	if head = head[:n]; err != nil || !bytes.HasPrefix(head, p.plain.head) {
		return
	}
	p.info, p.plain.size, p.plain.head, p.head = info, info.Size()-p.plain.skip, head, head
	if p.begins.IsZero() { // its first line may not have been whole
		p.begins, _ = firstTimeOf(p.plain, q)
	}
}

// same reports whether two parts hold the same text, as when a part was packed between
// two looks, or copied and not yet truncated: they begin with the same lines, at the
// same time.
func (p *part) same(other *part) bool {
	// NUL bytes may stand before them: see File.skipHole.
	a, b := bytes.TrimLeft(p.head, "\x00"), bytes.TrimLeft(other.head, "\x00")
	n := min(len(a), len(b))
	return n > 0 && !p.begins.IsZero() && p.begins.Equal(other.begins) && bytes.Equal(a[:n], b[:n])
}

func (p *part) close() { _ = p.raw.Close() } // it was only read

// why says in a sentence why a part could not be opened.
func (c candidate) why(err error) string {
	var tool errPacking
	switch {
	case errors.As(err, &tool):
		return fmt.Sprintf("It is %s, which rekey does not read; unpack it, or have it compressed with gzip or zstd.", tool.Error())
	case errors.Is(err, errNotPacked):
		return "It is not what its name says, neither packed nor text; look for a copy of it."
	case errors.Is(err, os.ErrPermission):
		return "rekey may not read the file; let its user read it."
	case errors.Is(err, ErrIrregular):
		return "It is not a regular file, so it was left alone."
	}
	return "The file could not be opened; check the disk, and how many files rekey may open at once."
}
