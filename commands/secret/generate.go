package secret

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Django's own alphabet and length, from django.core.management.utils
// get_random_secret_key: a value made here is one its tools would have made.
const (
	djangoAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)"
	djangoLength   = 50
)

// Sentinel errors of Generate.
var (
	// ErrSupplied: the provider makes this value, rekey cannot.
	ErrSupplied = errors.New("this value is made by its provider: a person must bring it")
	// ErrUnknownGenerator: no generator of that name.
	ErrUnknownGenerator = errors.New("unknown generator")
)

// Generate makes a new value from random, which is crypto/rand.Reader when nil.
// It answers ErrSupplied for Supplied and ErrUnknownGenerator for a name it does
// not know; any other error is random's.
func Generate(g Generator, random io.Reader) (Value, error) {
	if random == nil {
		random = rand.Reader
	}
	switch g {
	case Hex32:
		b, err := read32(random)
		if err != nil {
			return Value{}, err
		}
		return NewValue(hex.EncodeToString(b)), nil
	case Base6432:
		b, err := read32(random)
		if err != nil {
			return Value{}, err
		}
		return NewValue(base64.StdEncoding.EncodeToString(b)), nil
	case Django:
		return fromAlphabet(random, djangoAlphabet, djangoLength)
	case Supplied:
		return Value{}, ErrSupplied
	default:
		return Value{}, fmt.Errorf("%w %q", ErrUnknownGenerator, string(g))
	}
}

func read32(random io.Reader) ([]byte, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, fmt.Errorf("reading random bytes: %w", err)
	}
	return b, nil
}

// fromAlphabet draws n characters, each equally likely: bytes past the last whole
// multiple of the alphabet are thrown away, because a remainder would favour its
// first letters.
func fromAlphabet(random io.Reader, alphabet string, n int) (Value, error) {
	limit := 256 - 256%len(alphabet)
	out := make([]byte, 0, n)
	draw := make([]byte, n)
	for len(out) < n {
		if _, err := io.ReadFull(random, draw); err != nil {
			return Value{}, fmt.Errorf("reading random bytes: %w", err)
		}
		for _, b := range draw {
			if int(b) < limit && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return NewValue(string(out)), nil
}
