package commands

import (
	"encoding/json"
	"fmt"
	"time"
)

// Look is what an audit keeps in its memo: where its window ends, when that is not the
// moment at which the evidence is read.
type Look struct {
	Until time.Time `json:"until,omitzero"`
}

// Memo is l as a run keeps it; nil when there is nothing to keep.
func (l Look) Memo() ([]byte, error) {
	if l.Until.IsZero() {
		return nil, nil
	}
	raw, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encoding the audit's memo: %w", err)
	}
	return raw, nil
}

// ReadLook answers what an audit's memo says; nothing for an empty one.
func ReadLook(memo []byte) (l Look, err error) {
	if len(memo) == 0 {
		return l, nil
	}
	if err := json.Unmarshal(memo, &l); err != nil {
		return l, fmt.Errorf("reading the audit's memo: %w", err)
	}
	return l, nil
}
