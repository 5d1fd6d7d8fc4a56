package commands

import (
	"encoding/json"
	"fmt"
	"time"

	"rekey/audit/ledger"
)

// What people may choose when a compromised rotation stops before the end of the old
// value.
const (
	// HoldFor is how long the old value lives from the moment somebody asks for more time.
	HoldFor = 10 * time.Minute
	// MaxHolds is how often that can be asked in one run: a leaked value must end.
	MaxHolds = 3
)

// Respite is what a compromised rotation keeps, in its memo, of the decision whether its
// old value ends although callers of ours still use it. It is written in the
// transaction in which the run stops, so that any replica goes on with it.
type Respite struct {
	// Open: the run stands there now.
	Open bool `json:"open"`
	// Until is when the old value ends if nobody chooses.
	Until time.Time `json:"until,omitzero"`
	// Times is how often it was put off.
	Times int `json:"times,omitempty"`
	// By is who chose last, as in ledger.Entry.Actor; "" when nobody has.
	By string `json:"by,omitempty"`
	// Kill: By wants it ended now.
	Kill bool `json:"kill,omitempty"`
	// Seen is who was seen using it, and how often, at SeenAt: words for people.
	Seen   string    `json:"seen,omitempty"`
	SeenAt time.Time `json:"seen_at,omitzero"`
}

// Memo is h as a run keeps it.
func (h Respite) Memo() ([]byte, error) {
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encoding the decision about the old value: %w", err)
	}
	return raw, nil
}

// ReadRespite answers what a rotation's memo says; the zero Respite where it never stopped.
func ReadRespite(memo []byte) (h Respite, err error) {
	if len(memo) == 0 {
		return h, nil
	}
	if err := json.Unmarshal(memo, &h); err != nil {
		return h, fmt.Errorf("reading the decision about the old value: %w", err)
	}
	return h, nil
}

// Held answers the decision that a run stands at now; ok is false when it stands at
// none, or its memo cannot be read.
func Held(r ledger.Run) (h Respite, ok bool) {
	if r.Kind != ledger.KindRotate || r.State != ledger.Waiting {
		return Respite{}, false
	}
	h, err := ReadRespite(r.Memo)
	return h, err == nil && h.Open
}
