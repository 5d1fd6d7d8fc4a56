package commands

import (
	"encoding/json"
	"fmt"
	"time"
)

// Watch is what a run that keeps watch after a compromised rotation remembers, in its
// memo.
type Watch struct {
	Of    string    `json:"of"`    // the rotation
	Board string    `json:"board"` // the run whose board it tells below
	Until time.Time `json:"until"`
	// Looked is up to when the logs were read: the next look begins there.
	Looked time.Time `json:"looked"`
	Died   time.Time `json:"died"` // of the old value
	// Used counts uses of the old value that a tripwire in the application saw, Refused
	// failed verifications of strangers, LetIn accepted requests of strangers.
	Used    int `json:"used,omitempty"`
	Refused int `json:"refused,omitempty"`
	LetIn   int `json:"let_in,omitempty"`
	// By names who, most active first, at most 5.
	By []string `json:"by,omitempty"`
	// Blind says what could not be read, when something could not.
	Blind string `json:"blind,omitempty"`
}

// Memo is w as a run keeps it.
func (w Watch) Memo() ([]byte, error) {
	raw, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encoding the watch's memo: %w", err)
	}
	return raw, nil
}

// ReadWatch answers what a run's memo says.
func ReadWatch(memo []byte) (w Watch, err error) {
	if err := json.Unmarshal(memo, &w); err != nil {
		return w, fmt.Errorf("reading the watch's memo: %w", err)
	}
	return w, nil
}
