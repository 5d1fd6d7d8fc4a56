package journal

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"
)

// entry is one entry of the journal, as far as it is used.
type entry struct {
	Cursor   string          `json:"__CURSOR"`
	Received string          `json:"__REALTIME_TIMESTAMP"` // microseconds since 1970
	Source   json.RawMessage `json:"_SOURCE_REALTIME_TIMESTAMP"`
	Message  json.RawMessage `json:"MESSAGE"`

	messages [][]byte
}

// errNotJournal is output that is not journalctl's.
var errNotJournal = errors.New("the output is not the journal's")

func decode(line []byte) (entry, error) {
	var e entry
	if json.Unmarshal(line, &e) != nil || e.received().IsZero() {
		return entry{}, errNotJournal
	}
	var err error
	e.messages, err = values(e.Message)
	return e, err
}

// values are a field's values: one as a text, or as a list of bytes where it is no valid
// UTF-8; several, if the field was written more than once, as a list of those.
func values(raw json.RawMessage) ([][]byte, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return [][]byte{[]byte(text)}, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, errNotJournal
	}
	var numbers []uint16 // not bytes, which JSON would take for base64
	if json.Unmarshal(raw, &numbers) == nil {
		b := make([]byte, len(numbers))
		for i, n := range numbers {
			b[i] = byte(n)
		}
		return [][]byte{b}, nil
	}
	var all [][]byte
	for _, one := range list {
		if len(one) > 0 && one[0] != '"' && one[0] != '[' {
			return nil, errNotJournal
		}
		v, err := values(one)
		if err != nil {
			return nil, err
		}
		all = append(all, v...)
	}
	return all, nil
}

// received is when journald took the entry.
func (e entry) received() time.Time { return micros(e.Received) }

// at is when the entry was written as far as the writer said so, else when it was taken.
func (e entry) at() time.Time {
	var text string
	if json.Unmarshal(e.Source, &text) == nil {
		if at := micros(text); !at.IsZero() {
			return at
		}
	}
	return e.received()
}

func micros(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
