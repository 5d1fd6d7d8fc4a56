package sqlstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"rekey/audit/ledger"
)

// micros answers t as kept in the database: microseconds since 1970, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// blob answers b as kept in the database, where "none" is empty and never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func bytesOf(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return bytes.Clone(b)
}

// detailText is the one text a detail is kept as.
func detailText(detail map[string]string) (string, error) {
	if len(detail) == 0 {
		return "{}", nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(detail); err != nil {
		return "", fmt.Errorf("encoding detail: %w", err)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// detailOf reads a detail back. It refuses every text but the one detailText
// writes, so that two names of the same spelling cannot hide an edit.
func detailOf(text string) (map[string]string, error) {
	if text == "{}" {
		return nil, nil
	}
	var detail map[string]string
	if err := json.Unmarshal([]byte(text), &detail); err != nil {
		return nil, errUnreadable
	}
	again, err := detailText(detail)
	if err != nil || again != text {
		return nil, errUnreadable
	}
	return detail, nil
}

func hashOf(b []byte) (h ledger.Hash, err error) {
	if len(b) != len(h) {
		return h, errUnreadable
	}
	copy(h[:], b)
	return h, nil
}
