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
	// Until is when the old value ends if nobody chooses; zero when the run never stood.
	Until time.Time `json:"until,omitzero"`
	// Times is how often it was put off.
	Times int `json:"times,omitempty"`
	// By is who chose last, as in ledger.Entry.Actor; "" when nobody has.
	By string `json:"by,omitempty"`
	// Kill: By wants it ended now.
	Kill bool `json:"kill,omitempty"`
	// Seen is who was seen using it, and how often, at SeenAt: words for people. SeenAt is
	// zero when somebody has chosen since, who is to be told a fresh measure.
	Seen   string    `json:"seen,omitempty"`
	SeenAt time.Time `json:"seen_at,omitzero"`
	// LastSeen is the last look that saw one of ours use it.
	LastSeen time.Time `json:"last_seen,omitzero"`
}

// Memo is d as a run keeps it.
func (d Respite) Memo() ([]byte, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encoding the decision about the old value: %w", err)
	}
	return raw, nil
}

// ReadRespite answers what a rotation's memo says; the zero Respite where it never
// stopped, and where the memo cannot be read: then nothing was decided.
func ReadRespite(memo []byte) (d Respite) {
	if json.Unmarshal(memo, &d) != nil {
		return Respite{}
	}
	return d
}

// Held answers the decision that a run stands at now; ok is false when it stands at
// none.
func Held(r ledger.Run) (d Respite, ok bool) {
	if r.Kind != ledger.KindRotate || r.State != ledger.Waiting {
		return Respite{}, false
	}
	d = ReadRespite(r.Memo)
	return d, d.Open
}

// Idle reports that nothing is about to happen to a run: it rests, and for longer than
// a decision takes.
func Idle(r ledger.Run, now time.Time) bool {
	_, held := Held(r)
	return r.Rests(now) && !held
}

// Cost says what ending the old value costs, and until when it can be helped: for
// people, without what to type or click.
func (d Respite) Cost() string {
	says := "The old value is still used by " + d.Seen + ". "
	if d.Times > 0 {
		says += fmt.Sprintf("%s put its end off (%d of %d). ", NameOf(d.By), d.Times, MaxHolds)
	}
	return says + "It ends by itself at " + d.Until.UTC().Format("15:04:05 MST") + "."
}
