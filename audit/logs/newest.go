package logs

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"rekey/audit"
)

const (
	// newestReach is how far back a source that is no file is asked for its newest records:
	// who is at it now is worth knowing when there was no time for all of it, and a server
	// that was too slow for the whole window is fast enough for an hour.
	newestReach = time.Hour
	// NewestLines is how many of the lines that may be evidence are looked at, as far as
	// their texts are not longer than newestBytes together.
	NewestLines = 1000
	newestBytes = 8 << 20
)

// Message is a message as a server hands it out: see [Lines.Take].
type Message struct {
	Text  []byte
	At    time.Time
	Place string
}

// errPlenty ends what hands out messages, which is no error.
var errPlenty = errors.New("plenty")

// Newest is File.Last for a source that is no file: fetch hands out its messages, the newest
// first, and keeps none of their texts; an error of take ends it. Offsets count from 1. With
// an error of fetch, what it handed out before is judged all the same.
func Newest(title string, format Format, q Query, n int, kinds []audit.Kind, fetch func(take func(Message) error) error) ([]Record, error) {
	tally := newNewest(n, kinds)
	lines, err := NewLines(title, format, q, func(r Record) error { tally.add(r); return nil })
	if err != nil {
		return nil, err
	}
	var list []Message
	size := 0
	err = fetch(func(m Message) error {
		m.Text = bytes.Clone(m.Text)
		size += len(m.Text)
		if list = append(list, m); len(list) >= NewestLines || size >= newestBytes {
			return errPlenty
		}
		return nil
	})
	if errors.Is(err, errPlenty) {
		err = nil
	}
	for _, m := range slices.Backward(list) {
		if err := lines.Take(m.Text, m.At, m.Place); err != nil {
			return nil, err
		}
	}
	return tally.records(), err
}

// Recent is the end of Reach: what Newest has to be asked for.
func (q Query) Recent(now time.Time) (from, to time.Time) {
	from, to = q.Reach(now)
	if recent := to.Add(-late - newestReach); recent.After(from) {
		from = recent
	}
	return from, to
}
