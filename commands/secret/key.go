package secret

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
)

// KeySize is the length of a Key in bytes.
const KeySize = 32

// Labels of the keys derived from rekey's one root key. A label is never reused
// with another meaning: what is computed under it gets a new number instead.
const (
	LabelLedger = "rekey/ledger/chain/v1"     // authenticates the security log's chain
	labelMAC    = "rekey/fingerprint/mac/v1"  // recognises a value
	labelRoll   = "rekey/fingerprint/roll/v1" // the rolling hash that finds candidates
)

// Key is a symmetric key of KeySize bytes. Being a Value it prints as [redacted].
type Key struct{ Value }

// ParseKey reads a key written as 64 hex digits. The error does not hold the text.
func ParseKey(v Value) (Key, error) {
	b, err := hex.DecodeString(strings.TrimSpace(v.Reveal()))
	if err != nil || len(b) != KeySize {
		return Key{}, errors.New("a key is 64 hex digits (32 bytes): make one with: openssl rand -hex 32")
	}
	return Key{NewValue(string(b))}, nil
}

// NewKey draws a key from random, which is crypto/rand.Reader when nil.
func NewKey(random io.Reader) (Key, error) {
	if random == nil {
		random = rand.Reader
	}
	b, err := read32(random)
	if err != nil {
		return Key{}, err
	}
	return Key{NewValue(string(b))}, nil
}

// Hex answers the key as ParseKey reads it.
func (k Key) Hex() Value { return NewValue(hex.EncodeToString([]byte(k.Reveal()))) }

// Bytes answers a copy of the key itself, nil for the zero Key.
func (k Key) Bytes() []byte {
	if k.IsZero() {
		return nil
	}
	return []byte(k.Reveal())
}

// Derive answers the key for one purpose: HKDF-SHA256 (RFC 5869) expanding k
// under label. It panics when k is the zero Key, which no constructor answers.
func (k Key) Derive(label string) Key {
	return Key{NewValue(string(k.expand(label, KeySize)))}
}

func (k Key) expand(label string, n int) []byte {
	if k.Len() != KeySize {
		panic("secret: a zero Key cannot derive " + label)
	}
	b, err := hkdf.Expand(sha256.New, k.Bytes(), label, n)
	if err != nil {
		panic("secret: deriving " + label + ": " + err.Error())
	}
	return b
}
