package secret

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
)

// HMACBits is the strength an HMAC secret must have: 64 hex digits.
const HMACBits = 256

// doubt is how much shorter, in bits, a description of a value must be than its
// length suggests before the value is held to be made and not drawn. A counting
// argument bounds the mistake: at most one random value in 2^doubt has such a
// description.
const doubt = 40

// alphabets are tried smallest first; a value's is the first that holds all of it.
// There is none for letters of both cases without digits: one random base64 value
// in 1,400 has no digit and would be called weak.
var alphabets = []string{
	digits,
	digits + "abcdef",
	digits + "ABCDEF",
	lower,
	upper,
	digits + lower,
	digits + upper,
	djangoAlphabet,
	digits + lower + upper,
	digits + lower + upper + "+/",
	digits + lower + upper + "-_",
}

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// otherAlphabet is the size assumed of anything else: the printable characters of
// ASCII, even where the value has rarer ones.
const otherAlphabet = 94

// Strength estimates, low rather than high, how many bits an attacker would have
// to guess. It is the length times the bits per character of the value's alphabet,
// unless the value can be described much more briefly (repeats, runs, sequences,
// few distinct characters) or reads like words: then it is the brief description.
func Strength(v Value) float64 {
	s := strings.TrimRight(v.Reveal(), "=") // base64's padding is no secret
	if s == "" {
		return 0
	}
	symbols, size := indexed(s)
	nominal := float64(len(symbols)) * math.Log2(float64(size))
	brief := min(orderZero(symbols, size), orderZero(steps(symbols, size), size), repeats(symbols, size))
	bits := nominal
	if brief < nominal-doubt {
		bits = brief
	}
	if wordlike(s) || passphrase(s) {
		bits = min(bits, 1.5*float64(len(symbols))) // Shannon's upper estimate for English
	}
	return bits
}

// CheckHMAC refuses a value under 64 hex digits' strength (256 bits) in one
// sentence that does not hold the value.
func CheckHMAC(v Value) error {
	if v.IsZero() {
		return errors.New("the secret is empty: an HMAC secret needs at least 64 random hex digits")
	}
	if bits := Strength(v); bits < HMACBits {
		return fmt.Errorf("the secret is too weak: about %d bits, an HMAC secret needs %d (64 random hex digits)",
			int(bits), HMACBits)
	}
	return nil
}

// indexed turns s into numbers below size, its alphabet's length.
func indexed(s string) (symbols []int, size int) {
	runes := []rune(s)
	symbols = make([]int, len(runes))
next:
	for _, a := range alphabets {
		for i, r := range runes {
			at := strings.IndexRune(a, r)
			if at < 0 {
				continue next
			}
			symbols[i] = at
		}
		return symbols, len(a)
	}
	for i, r := range runes {
		symbols[i] = (int(r) - ' ' + otherAlphabet) % otherAlphabet
		if symbols[i] < 0 {
			symbols[i] += otherAlphabet
		}
	}
	return symbols, otherAlphabet
}

// orderZero is the length in bits of symbols under an adaptive model that learns
// how often each occurs (Krichevsky and Trofimov's estimator).
func orderZero(symbols []int, size int) float64 {
	count := make([]float64, size)
	bits := 0.0
	for i, s := range symbols {
		bits -= math.Log2((count[s] + 0.5) / (float64(i) + float64(size)/2))
		count[s]++
	}
	return bits
}

// steps answers the differences between neighbours, which are as uniform as the
// symbols where those are random and constant where they count up or down.
func steps(symbols []int, size int) []int {
	out := make([]int, len(symbols))
	last := 0
	for i, s := range symbols {
		out[i] = (s - last + size) % size
		last = s
	}
	return out
}

// repeats is the length in bits of symbols as literals and copies of what came
// before, each copy an offset and a length.
func repeats(symbols []int, size int) float64 {
	literal := 1 + math.Log2(float64(size))
	bits := 0.0
	for i := 0; i < len(symbols); {
		best := 0
		for j := range i {
			n := 0
			for i+n < len(symbols) && symbols[j+n] == symbols[i+n] {
				n++
			}
			best = max(best, n)
		}
		copied := 1 + math.Log2(float64(i)+1) + 2*math.Log2(float64(best)+1) + 1
		if best > 0 && copied < literal*float64(best) {
			bits += copied
			i += best
			continue
		}
		bits += literal
		i++
	}
	return bits
}

// bigrams are English's most frequent pairs of letters: 50 of 676, yet more than
// half of the pairs in a text.
const bigrams = " th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le" +
	" ve co me de hi ri ro ic ne ea ra ce li ch ll be ma si om ur "

// wordlike reports that s has so many of English's frequent pairs of letters that
// chance would not produce them once in 2^doubt values.
func wordlike(s string) bool {
	s = strings.ToLower(s)
	pairs, hits := 0.0, 0.0
	for i := 0; i+1 < len(s); i++ {
		a, b := s[i], s[i+1]
		if a < 'a' || a > 'z' || b < 'a' || b > 'z' {
			continue
		}
		pairs++
		if strings.Contains(bigrams, " "+s[i:i+2]+" ") {
			hits++
		}
	}
	const chance = 50.0 / 676
	if pairs == 0 || hits/pairs <= chance {
		return false
	}
	// Chernoff's bound: the probability of this many hits or more is at most
	// 2^-(pairs × relative entropy).
	p := hits / pairs
	divergence := p * math.Log2(p/chance)
	if p < 1 {
		divergence += (1 - p) * math.Log2((1-p)/(1-chance))
	}
	return pairs*divergence > doubt
}

// phrase is words of one case, or capitalised, between separators. Generators of
// secrets make no such thing.
var phrase = regexp.MustCompile(`^(?:[a-z]{1,14}|[A-Z]{1,14}|[A-Z][a-z]{1,13})(?:[ _.,-]+(?:[a-z]{1,14}|[A-Z]{1,14}|[A-Z][a-z]{1,13}|[0-9]{1,4})){3,}[!?.]*$`)

func passphrase(s string) bool { return phrase.MatchString(s) }
