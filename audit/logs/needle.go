package logs

import (
	"bytes"
	"math"
)

// needles searches one text for several strings at once, without going over any part
// of it again for the same string.
type needles struct {
	list  []needle
	text  []byte
	texts int // how many texts were searched
}

// needle is a string to be looked for by two bytes of it that are rarely seen together in
// the text. bytes.Index looks for the first one, which is an "n" in every other word.
type needle struct {
	text        []byte
	rare, other int // indexes of the bytes to look for, the rarer one first
	next        int // where it stands next in the text, as far as known; len(text): nowhere
}

const (
	// resample is after how many texts it is judged again which bytes are rare.
	resample = 16
	// sampleSize is how many bytes are looked at for that.
	sampleSize = 4 << 10
)

// newNeedles prepares strings, none of them empty.
func newNeedles(list [][]byte) needles {
	var n needles
	for _, text := range list {
		n.list = append(n.list, needle{text: text, other: min(1, len(text)-1)})
	}
	return n
}

// reset begins with another text.
func (n *needles) reset(text []byte) {
	if n.texts%resample == 0 {
		n.sample(text)
	}
	n.texts++
	n.text = text
	for i := range n.list {
		n.list[i].next = -1
	}
}

// sample looks at a part of text for what is rare in it.
func (n *needles) sample(text []byte) {
	for i := range n.list {
		n.list[i].choose(text[:min(len(text), sampleSize)])
	}
}

// choose picks the byte that is rarest in text and the one that is seen least at its
// distance from it. Two bytes that are rare each by itself may well belong together: "gu"
// stands wherever "signature" does.
func (n *needle) choose(text []byte) {
	if n.rare, n.other = 0, 0; len(n.text) < 2 {
		return
	}
	var seen [256]int
	for _, c := range text {
		seen[c]++
	}
	for at, c := range n.text {
		if seen[c] < seen[n.text[n.rare]] {
			n.rare = at
		}
	}
	together := make([]int, len(n.text))
	for from := 0; ; from++ {
		i := bytes.IndexByte(text[from:], n.text[n.rare])
		if i < 0 {
			break
		}
		from += i
		for at, c := range n.text {
			if j := from + at - n.rare; j >= 0 && j < len(text) && text[j] == c {
				together[at]++
			}
		}
	}
	fewest := math.MaxInt
	for at, c := range n.text {
		if at == n.rare {
			continue
		}
		// Among those that are never seen with it, the rarest.
		if often := together[at]<<16 + seen[c]; often < fewest {
			n.other, fewest = at, often
		}
	}
}

// pair is where the first of the two bytes stands in the needle, and how far behind it the
// other.
func (n *needle) pair() (first, gap int) {
	first = min(n.rare, n.other)
	return first, max(n.rare, n.other) - first
}

// from is where the next of the needles begins at or after at, or -1.
func (n *needles) from(at int) int {
	nearest := len(n.text)
	for i := range n.list {
		one := &n.list[i]
		if one.next < at {
			one.next = len(n.text)
			if j := one.index(n.text[at:]); j >= 0 {
				one.next = at + j
			}
		}
		nearest = min(nearest, one.next)
	}
	if nearest == len(n.text) {
		return -1
	}
	return nearest
}

// index is bytes.Index(text, n.text).
func (n *needle) index(text []byte) int {
	if len(n.text) == 1 {
		return bytes.IndexByte(text, n.text[0])
	}
	first, gap := n.pair()
	a, b := n.text[first], n.text[first+gap]
	end := len(text) - (len(n.text) - first - gap - 1) // the second byte stands before it
	misses := 0
	for at := first; at+gap < end; {
		i := indexPair(text[at:end], gap, a, b)
		if i < 0 {
			return -1
		}
		start := at + i - first
		if bytes.Equal(text[start:start+len(n.text)], n.text) {
			return start
		}
		at += i + 1
		// Where they are not rare after all, comparing everywhere is faster.
		if misses++; misses > (at+64)/8 {
			i := bytes.Index(text[start+1:], n.text)
			if i < 0 {
				return -1
			}
			return start + 1 + i
		}
	}
	return -1
}
