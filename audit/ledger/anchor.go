package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Anchor is an entry's number and hash as they were published outside the
// database (in a message, in a mail). It pins everything up to that entry: not
// even a holder of the key can rewrite what came before without being seen.
type Anchor struct {
	Seq  int64
	Hash Hash
}

// ParseAnchor reads "seq:hash".
func ParseAnchor(s string) (Anchor, error) {
	number, digits, ok := strings.Cut(strings.TrimSpace(s), ":")
	if !ok {
		return Anchor{}, errors.New(`an anchor looks like "17:5f3a…": the entry's number, a colon and its hash`)
	}
	seq, err := strconv.ParseInt(number, 10, 64)
	if err != nil || seq < 1 {
		return Anchor{}, fmt.Errorf("an anchor starts with the entry's number, not %q", number)
	}
	a := Anchor{Seq: seq}
	if err := a.Hash.UnmarshalText([]byte(digits)); err != nil {
		return Anchor{}, err
	}
	return a, nil
}

// String is the form ParseAnchor reads.
func (a Anchor) String() string { return strconv.FormatInt(a.Seq, 10) + ":" + a.Hash.String() }

var errSeen = errors.New("seen")

// VerifyAnchors verifies the whole chain and then that every published anchor is
// in it. The chain only grows, so the two need no common snapshot.
func VerifyAnchors(ctx context.Context, s Store, anchors ...Anchor) (Verification, error) {
	v, err := s.Verify(ctx)
	if err != nil || !v.OK {
		return v, err
	}
	for _, a := range anchors {
		var found *Entry
		err := s.Export(ctx, a.Seq, func(e Entry) error {
			found = &e
			return errSeen
		})
		if err != nil && !errors.Is(err, errSeen) {
			return v, err
		}
		switch {
		case found == nil || found.Seq != a.Seq:
			return v.bad(a.Seq, "entry %d was removed: it was published, but the log ends at entry %d", a.Seq, v.Entries), nil
		case !found.Hash.Equal(a.Hash):
			return v.bad(a.Seq, "entry %d is not the one that was published: the log was rewritten up to it", a.Seq), nil
		}
	}
	return v, nil
}

func (v Verification) bad(seq int64, format string, args ...any) Verification {
	v.OK, v.BadSeq, v.Problem = false, seq, fmt.Sprintf(format, args...)
	return v
}
