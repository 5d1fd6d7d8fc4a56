package ledger

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"time"
)

// The chain, so that it can be checked without this program:
//
//	hash(entry) = HMAC-SHA256(key, encoding)
//	encoding    = s("rekey-ledger-entry-v1") n(seq) n(at) s(actor) s(action) s(subject)
//	              s(run) s(why) s(result) n(len(detail)) {s(name) s(value)}* prev
//	mac(head)   = HMAC-SHA256(key, s("rekey-ledger-head-v1") n(seq) hash)
//
// n is a signed 64-bit number, big endian. s is n(length in bytes) followed by the
// bytes. at is microseconds since 1970 UTC. detail is sorted by name, bytewise.
// prev is the 32 bytes of the hash of entry seq-1; zeros for entry 1. Every field
// has its length before it, so that no text can pose as the neighbouring field.
//
// The head is one row beside the entries that names the newest one. Its MAC cannot
// be made without the key, so entries cut off the end are missed. An attacker who
// kept a copy of an older head can put that back along with the older tail: only
// an Anchor that was published elsewhere tells.
const (
	entryLabel = "rekey-ledger-entry-v1"
	headLabel  = "rekey-ledger-head-v1"
)

// Hash links an entry to the one before it.
type Hash [32]byte

// String prints the hash as 64 hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText answers the hash as 64 hex digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hex digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("a hash has %d hex digits, not %d", 2*len(h), len(text))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("reading hash: %w", err)
	}
	return nil
}

// Sum computes the hash of e over all its fields but Hash.
func Sum(key Key, e Entry) Hash { return newSum(key).entry(e) }

// HeadMAC authenticates that seq and hash are those of the newest entry.
func HeadMAC(key Key, seq int64, h Hash) Hash { return newSum(key).head(seq, h) }

// Equal reports whether the two are the same; it takes the same time for every h.
func (h Hash) Equal(o Hash) bool { return hmac.Equal(h[:], o[:]) }

// Clean answers e as a store keeps it: At in UTC and whole microseconds, every
// text valid UTF-8 without NUL (what is neither becomes U+FFFD, because PostgreSQL
// takes neither), and a Detail of its own, nil when empty.
func Clean(e Entry) Entry {
	e.At = e.At.UTC().Truncate(time.Microsecond)
	for _, s := range [...]*string{&e.Actor, &e.Action, &e.Subject, &e.Run, &e.Why, &e.Result} {
		*s = CleanText(*s)
	}
	var detail map[string]string
	for name, value := range e.Detail {
		if detail == nil {
			detail = make(map[string]string, len(e.Detail))
		}
		detail[CleanText(name)] = CleanText(value)
	}
	e.Detail = detail
	return e
}

// CleanText answers s as both databases can keep it, see Clean.
func CleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// sum computes one hash after the other; making the HMAC ready costs as much as a
// short entry, so a walk over the chain does it once.
type sum struct {
	mac hash.Hash
	buf []byte
}

func newSum(key Key) *sum {
	if key.IsZero() {
		panic("ledger: no key")
	}
	return &sum{mac: hmac.New(sha256.New, (*key.b)[:])}
}

func (s *sum) entry(e Entry) Hash {
	s.text(entryLabel)
	s.number(e.Seq)
	s.number(e.At.UnixMicro())
	for _, t := range [...]string{e.Actor, e.Action, e.Subject, e.Run, e.Why, e.Result} {
		s.text(t)
	}
	s.number(int64(len(e.Detail)))
	for _, name := range slices.Sorted(maps.Keys(e.Detail)) {
		s.text(name)
		s.text(e.Detail[name])
	}
	s.buf = append(s.buf, e.Prev[:]...)
	return s.finish()
}

func (s *sum) head(seq int64, h Hash) Hash {
	s.text(headLabel)
	s.number(seq)
	s.buf = append(s.buf, h[:]...)
	return s.finish()
}

func (s *sum) number(n int64) {
	s.buf = binary.BigEndian.AppendUint64(s.buf, uint64(n)) //nolint:gosec // two's complement is the encoding
}

func (s *sum) text(t string) {
	s.number(int64(len(t)))
	s.buf = append(s.buf, t...)
}

// finish answers the hash of what was encoded and starts over. A hash never answers
// an error from Write.
func (s *sum) finish() (h Hash) {
	s.mac.Reset()
	_, _ = s.mac.Write(s.buf)
	s.mac.Sum(h[:0])
	s.buf = s.buf[:0]
	return h
}
