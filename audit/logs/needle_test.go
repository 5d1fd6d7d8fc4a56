package logs

import (
	"bytes"
	"testing"
)

// FuzzNeedle holds the search for needles against bytes.Index, from every place on and
// with every choice of the two bytes that are looked for.
func FuzzNeedle(f *testing.F) {
	f.Add([]byte("INFO nvalid signature, invalid signatur\nInvalid signature"), []byte("nvalid signature"), uint8(3), uint8(9), uint8(0))
	f.Add(bytes.Repeat([]byte("ab"), 200), []byte("ba"), uint8(0), uint8(1), uint8(63))
	f.Add(append(bytes.Repeat([]byte("x"), 130), "needle"...), []byte("needle"), uint8(5), uint8(0), uint8(2))
	f.Fuzz(func(t *testing.T, text, word []byte, rare, other, skip uint8) {
		if len(word) < 2 || len(word) > 64 {
			return
		}
		n := needle{text: word, rare: int(rare) % len(word), other: int(other) % len(word)}
		if n.rare == n.other {
			n.other = (n.rare + 1) % len(word)
		}
		text = text[min(int(skip), len(text)):] // at any alignment
		if got, want := n.index(text), bytes.Index(text, word); got != want {
			t.Errorf("index of %q in %q is %d, want %d", word, text, got, want)
		}
		gap := max(n.rare, n.other) - min(n.rare, n.other)
		for i := range min(len(text), 8) {
			if gap >= len(text)-i {
				break
			}
			if got, want := indexPair(text[i:], gap, word[0], word[1]), plainPair(text[i:], 0, gap, word[0], word[1]); got != want {
				t.Errorf("indexPair in %q is %d, want %d", text[i:], got, want)
			}
		}
		all := newNeedles([][]byte{word, word[:2]})
		all.reset(text)
		for at := 0; at <= len(text); {
			i := all.from(at)
			want := bytes.Index(text[at:], word[:2])
			if want >= 0 {
				want += at
			}
			if i != want {
				t.Errorf("from %d, the nearest in %q is at %d, want %d", at, text, i, want)
			}
			if i < 0 {
				break
			}
			at = i + 1
		}
	})
}
