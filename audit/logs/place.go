package logs

import (
	"bytes"
	"fmt"
	"io"
)

// numberedBelow is how far into a file lines are counted to name them by number;
// counting there costs a few milliseconds. Further on the byte is named.
const numberedBelow = 64 << 20

// names are what people call the lines that begin at offsets, which must ascend, in a
// file they call name: "access.log:812", or "access.log@4294967296" far into a large one.
func (l *File) names(name string, offsets []int64) []string {
	names := make([]string, len(offsets))
	near := 0
	for i, offset := range offsets {
		names[i] = fmt.Sprintf("%s@%d", name, l.skip+offset)
		if offset < numberedBelow {
			near = i + 1
		}
	}
	numbers, err := l.LineNumbers(offsets[:near])
	if err != nil {
		return names // the bytes are good names, too
	}
	for i, number := range numbers {
		names[i] = fmt.Sprintf("%s:%d", name, number)
	}
	return names
}

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
			seen += count(buf[:n])
			at += int64(n)
		}
		numbers[i] = seen + 1
	}
	return numbers, nil
}

// count is how many lines end in data.
func count(data []byte) int64 { return int64(bytes.Count(data, newline)) }
