package logs

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// packing is how a file is compressed; "" is not at all.
type packing string

// The packings that are read.
const (
	gzipped packing = "gzip"
	zstded  packing = "zstd"
	bzipped packing = "bzip2"
)

// maxWindow is how far back a zstd file may refer: what RFC 8878, section 3.1.1.1.2,
// asks every decoder to support, and what `zstd -19` uses; by default it is 2 MB. An
// archive that is being read costs its window, so that those with a wide one are read one
// after the other; a reading then holds some 36 MiB instead of 32. Only `zstd --ultra` and
// `--long` go beyond it.
const maxWindow = 8 << 20

// errPacking reports a compression that is not read.
type errPacking struct{ tool string }

func (e errPacking) Error() string { return "compressed with " + e.tool }

// packings are told by their first bytes, which RFC 1952, RFC 8878 and the tools' own
// descriptions fix; a name may be wrong.
var packings = []struct {
	magic string
	packing
	unread string // the tool that unpacks it, where this package does not
}{
	{"\x1f\x8b\x08", gzipped, ""},
	{"\x28\xb5\x2f\xfd", zstded, ""},
	{"BZh", bzipped, ""},
	{"\xfd7zXZ\x00", "", "xz"},
	{"\x04\x22\x4d\x18", "", "lz4"},
	{"LZIP", "", "lzip"},
	{"\x1f\x9d", "", "compress"},
	{"\x89LZO", "", "lzop"},
	{"PK\x03\x04", "", "zip"},
}

// packingOf tells the compression from the first bytes of a file.
func packingOf(head []byte) (packing, error) {
	for _, p := range packings {
		if !bytes.HasPrefix(head, []byte(p.magic)) {
			continue
		}
		switch {
		case p.packing == bzipped && !(len(head) >= 10 && head[3] >= '1' && head[3] <= '9' && string(head[4:10]) == "1AY&SY"):
			continue // text may begin with these three letters
		case p.unread != "" && isText(head):
			continue
		case p.unread != "":
			return "", errPacking{p.unread}
		}
		return p.packing, nil
	}
	return "", nil
}

// isText reports whether head holds no control characters but those of text.
func isText(head []byte) bool {
	return !bytes.ContainsFunc(head, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != 0x1b })
}

// unpacker reads what was packed.
type unpacker struct {
	io.Reader
	close func()
}

// wide reports whether a zstd file that begins with head refers further back than what
// zstd packs by default, or does not say.
func wide(head []byte) bool {
	var h zstd.Header
	if h.Decode(head) != nil || h.Skippable {
		return true
	}
	if h.SingleSegment {
		return h.FrameContentSize > maxWindow/2
	}
	return h.WindowSize > maxWindow/2
}

// afterHole leaves out the NUL bytes at the beginning of what it reads: see
// File.skipHole.
type afterHole struct {
	r    io.Reader
	past bool
}

func (a *afterHole) Read(p []byte) (int, error) {
	for {
		n, err := a.r.Read(p)
		if a.past {
			return n, err
		}
		text := bytes.TrimLeft(p[:n], "\x00")
		if a.past = len(text) > 0; a.past || err != nil || n == 0 {
			return copy(p, text), err
		}
	}
}

// unpack reads r, which is packed, in bounded memory. Files of several members or
// frames, as appending makes them, are read whole.
func unpack(p packing, r io.Reader, spare *decoders) (*unpacker, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	switch p {
	case gzipped:
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		return &unpacker{Reader: &afterHole{r: z}, close: func() { _ = z.Close() }}, nil
	case zstded:
		z, err := spare.take(buffered)
		if err != nil {
			return nil, err
		}
		return &unpacker{Reader: &afterHole{r: z}, close: func() { spare.give(z) }}, nil
	case bzipped:
		return &unpacker{Reader: &afterHole{r: bzip2.NewReader(buffered)}, close: func() {}}, nil
	}
	return nil, fmt.Errorf("no compression %q", p)
}

// decoders are those for zstd, used again: each holds a window. The zero value is ready,
// and safe for concurrent use.
type decoders struct {
	mu   sync.Mutex
	free []*zstd.Decoder
}

func (d *decoders) take(r io.Reader) (*zstd.Decoder, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last := len(d.free) - 1; last >= 0 {
		z := d.free[last]
		d.free = d.free[:last]
		err := z.Reset(r)
		return z, err
	}
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
}

func (d *decoders) give(z *zstd.Decoder) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if z.Reset(nil) == nil {
		d.free = append(d.free, z)
	}
}

func (d *decoders) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, z := range d.free {
		z.Close()
	}
	d.free = nil
}

// brokenWhy says in plain words why an archive could not be read further.
func brokenWhy(err error) string {
	switch {
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return "It was compressed with a window of more than 8 MB (zstd --long or --ultra), which is not read here; unpack it beside itself."
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "The archive is cut off"
	}
	return "The archive is damaged"
}
