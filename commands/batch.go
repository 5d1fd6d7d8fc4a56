package commands

import (
	"encoding/json"
	"fmt"
)

// Batch is what a run that stands for several keeps in its memo, besides its members.
type Batch struct {
	// Others are secrets of the group that are not rotated as members, in order.
	Others []Other `json:"others,omitempty"`
}

// Other is a secret of a group that the batch does not rotate itself.
type Other struct {
	Secret string `json:"secret"`
	Run    string `json:"run,omitempty"` // the run under way that rotates it, if that is why
	Says   string `json:"says"`          // why, and what to do: a sentence without the name
}

// Memo is b as a run keeps it.
func (b Batch) Memo() ([]byte, error) {
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encoding the batch's memo: %w", err)
	}
	return raw, nil
}

// ReadBatch answers what a run's memo says; nothing for an empty one.
func ReadBatch(memo []byte) (b Batch, err error) {
	if len(memo) == 0 {
		return b, nil
	}
	if err := json.Unmarshal(memo, &b); err != nil {
		return b, fmt.Errorf("reading the batch's memo: %w", err)
	}
	return b, nil
}
