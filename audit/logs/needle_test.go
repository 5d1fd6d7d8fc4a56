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

// FuzzPair holds the kernels against going from byte to byte, at any alignment, the
// newlines that they count included.
func FuzzPair(f *testing.F) {
	f.Add(bytes.Repeat([]byte("some line or other\n"), 1000), uint8(4), byte('r'), byte('x'), uint8(7))
	f.Add(append(bytes.Repeat([]byte("\n"), 20000), `1.2.3.4 "GET / HTTP/1.1" 401 %2f`...), uint8(2), byte('"'), byte('4'), uint8(0))
	f.Add(append(bytes.Repeat([]byte(`\" 403 \\" 401 \`), 20), `" 401 a23b`...), uint8(3), byte('a'), byte('b'), uint8(2))
	f.Add(append(bytes.Repeat([]byte("x"), 130), "a23b"...), uint8(3), byte('a'), byte('b'), uint8(2))
	f.Fuzz(func(t *testing.T, text []byte, gap uint8, a, b byte, skip uint8) {
		text, g := text[min(int(skip), len(text)):], 2+int(gap)%62
		isPair := func(i int) bool { return i+g < len(text) && text[i] == a && text[i+g] == b }
		isRefused := func(i int) bool {
			return bytes.HasPrefix(text[i:], []byte(`" 401`)) || bytes.HasPrefix(text[i:], []byte(`" 403`))
		}
		isRefusal := func(i int) bool { return isPair(i) || text[i] == '%' || isRefused(i) }
		escaped := func(i int) bool { return i >= 2 && text[i-1] == '\\' && text[i-2] != '\\' }
		for _, c := range []struct {
			name   string
			search func(s []byte, gap int, a, b byte) (int, int)
			is     func(i int) bool
		}{
			{"pair", pair, isPair},
			{"plainPair", plainPair, isPair},
			{"refused", func(s []byte, _ int, _, _ byte) (int, int) { return refused(s) }, isRefused},
			{"refusal", refusal, isRefusal},
		} {
			if c.name == "refusal" && a == '"' {
				continue
			}
			at, lines := c.search(text, g, a, b)
			seen := at
			if at < 0 {
				if seen = -1 - at; len(text)-seen >= 64+max(g, 4) && (vectors() || c.name[:3] != "ref") || seen > len(text) {
					t.Fatalf("%s looked at %d of %d bytes", c.name, seen, len(text))
				}
			} else if !c.is(at) {
				t.Fatalf("%s finds %q at %d, where it is not", c.name, text, at)
			}
			for i := range seen {
				if c.is(i) && (!isRefused(i) || !escaped(i) || c.name[:3] != "ref") {
					t.Fatalf("%s finds %d in %q, and overlooks %d", c.name, at, text, i)
				}
			}
			if want := bytes.Count(text[:seen], newline); lines != want {
				t.Fatalf("%s counts %d newlines before %d, want %d", c.name, lines, seen, want)
			}
		}
	})
}

// TestPairAtEveryPlace: whatever is looked for is found wherever it stands in a round of the
// kernels, also where the next is right behind it.
func TestPairAtEveryPlace(t *testing.T) {
	t.Parallel()
	const gap = 5
	plain := bytes.Repeat([]byte("xx\nxxxxxxxxxxxx\n"), 40)
	for _, found := range []string{"a....b", `" 401`, `" 403`, "%"} {
		for at := range 400 {
			for _, behind := range []int{1, 31, 32, 64, 96, 200} {
				text := bytes.Clone(plain)
				copy(text[at+behind:], found)
				// What only looks like a refusal is passed over, also right in front of one.
				if decoys := `" 200 " 404 " 411 " 40"4401" 402x\" 403 \" 401 `; at >= len(decoys) {
					copy(text[at-len(decoys):], decoys)
				}
				copy(text[at:], found)
				want := bytes.Count(text[:at], newline)
				if i, lines := refusal(text, gap, 'a', 'b'); vectors() && (i != at || lines != want) {
					t.Fatalf("%q at %d: refusal found %d behind %d newlines, want %d", found, at, i, lines, want)
				}
				if i, lines := refused(text); vectors() && found[0] == '"' && (i != at || lines != want) {
					t.Fatalf("%q at %d: refused found %d behind %d newlines, want %d", found, at, i, lines, want)
				}
				if i, lines := pair(text, gap, 'a', 'b'); found[0] == 'a' && (i != at || lines != want) {
					t.Fatalf("%q at %d: pair found %d behind %d newlines, want %d", found, at, i, lines, want)
				}
			}
		}
	}
}

func FuzzLineStart(f *testing.F) {
	f.Add([]byte("one\ntwo\n\x0b\x8a\n\x8athree and more"), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, from uint8) {
		low := min(int(from), len(data))
		if got, want := lineStart(data, low), low+bytes.LastIndexByte(data[low:], '\n')+1; got != want {
			t.Errorf("the last line of %q begins at %d, want %d", data[low:], got, want)
		}
	})
}
