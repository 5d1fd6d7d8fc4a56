package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Guide: generation/hex32, generation/base64, generation/django, procedures/revalidate-secret/generate, procedures/analytics-secret/generate
func TestGenerate(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb, 0x01}, 64)
	for g, want := range map[Generator]string{
		Hex32:    hex.EncodeToString(raw[:32]),
		Base6432: base64.StdEncoding.EncodeToString(raw[:32]),
		Django:   strings.Repeat("b", 50), // 0xfb is past the last whole multiple of 50
	} {
		v, err := Generate(g, bytes.NewReader(append(bytes.Clone(raw), raw...)))
		if err != nil || v.Reveal() != want {
			t.Errorf("%s: %d characters, %v", g, v.Len(), err)
		}
		short := bytes.NewReader(raw[:16])
		if v, err := Generate(g, short); !errors.Is(err, io.ErrUnexpectedEOF) || !v.IsZero() {
			t.Errorf("%s with too little randomness: %v", g, err)
		}
	}
	if _, err := Generate(Supplied, nil); !errors.Is(err, ErrSupplied) {
		t.Errorf("supplied: %v", err)
	}
	if _, err := Generate("rot13", nil); !errors.Is(err, ErrUnknownGenerator) {
		t.Errorf("rot13: %v", err)
	}
	a, _ := Generate(Hex32, nil)
	b, _ := Generate(Hex32, nil)
	if a.Equal(b) {
		t.Error("two values are the same")
	}
}

// TestDjangoIsUnbiased counts the characters of many keys: chi squared with 49
// degrees of freedom is under 120 except once in ten million.
//
// Guide: procedures/secret-key/generate, generation/django
func TestDjangoIsUnbiased(t *testing.T) {
	t.Parallel()
	source := rand.NewChaCha8([32]byte{1})
	count := map[rune]float64{}
	const keys = 20_000
	for range keys {
		v, err := Generate(Django, source)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range v.Reveal() {
			count[r]++
		}
	}
	chi := 0.0
	for _, r := range djangoAlphabet {
		chi += math.Pow(count[r]-keys, 2) / keys // 50 characters, 50 letters: each is expected once a key
		delete(count, r)
	}
	if chi > 120 || len(count) > 0 {
		t.Errorf("chi squared is %.0f; %d foreign characters", chi, len(count))
	}
}

// TestGeneratedIsStrong draws many values: the estimate may not refuse one of them.
//
// Guide: practices/strong-secrets
func TestGeneratedIsStrong(t *testing.T) {
	t.Parallel()
	source := rand.NewChaCha8([32]byte{2})
	for range 1_000 {
		for _, g := range []Generator{Hex32, Base6432, Django} {
			v, err := Generate(g, source)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckHMAC(v); err != nil {
				t.Fatalf("%s: %v", g, err)
			}
		}
	}
}

// Guide: practices/strong-secrets
func TestCheckHMAC(t *testing.T) {
	t.Parallel()
	const hex64 = "6b1f0c2d9e8a7b5c4d3e2f1a0b9c8d7e62c93ba0f17d84e5a06b9fc3172e8d45"
	for name, test := range map[string]struct {
		value string
		ok    bool
	}{
		"64 hex digits":             {hex64, true},
		"64 hex digits, upper case": {strings.ToUpper(hex64), true},
		"base64":                    {"q83vEjRWeJrT0Fh1u2Zk9wQxLpYbMnCsVaDgHeIoK7+=", true},
		"base64url":                 {"q83vEjRWeJrT0Fh1u2Zk9wQxLpYbMnCsVaDgHeIoK7-", true},
		"Django":                    {"x&4^k(1$3+@!e=z#_%0-)q*7w8r9t2y5u6i&o$p^a@s(d)f+gh", true},
		"empty":                     {"", false},
		"63 hex digits":             {hex64[:63], false},
		"32 hex digits":             {hex64[:32], false},
		"16 of base64":              {"q83vEjRWeJrT0Fh1", false},
		"one letter":                {strings.Repeat("a", 500), false},
		"two letters":               {strings.Repeat("ab", 250), false},
		"32 hex digits twice":       {hex64[:32] + hex64[:32], false},
		"a word many times":         {strings.Repeat("correcthorse", 20), false},
		"the alphabet":              {"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", false},
		"the alphabet backwards":    {"zyxwvutsrqponmlkjihgfedcba9876543210zyxwvutsrqponmlkjihgfedcba", false},
		"runs":                      {"aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffff0000000011111111", false},
		"a sentence":                {"this is our production secret, please do not tell it to anybody at all!", false},
		"a sentence with hyphens":   {"the-quick-brown-fox-jumps-over-the-lazy-dog-and-then-rests-in-the-sun", false},
		"mostly zeros":              {strings.Repeat("0", 60) + "1a2b", false},
		"padding only":              {strings.Repeat("=", 80), false},
	} {
		err := CheckHMAC(NewValue(test.value))
		if (err == nil) != test.ok {
			t.Errorf("%s (%.0f bits): %v", name, Strength(NewValue(test.value)), err)
		}
		if err != nil && len(test.value) > 3 && strings.Contains(err.Error(), test.value) {
			t.Errorf("%s: the error holds the value", name)
		}
	}
}

func TestStrengthIsSane(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "value")
		bits := Strength(NewValue(s))
		if math.IsNaN(bits) || bits < 0 || bits > 8*float64(len(s)) {
			t.Fatalf("%q has %v bits", s, bits)
		}
	})
}
