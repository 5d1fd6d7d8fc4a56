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

// needle is a string to be looked for by the byte of it that is rarest in the text.
// bytes.Index looks for the first one, which is an "n" in every other word.
type needle struct {
	text []byte
	rare int // index of the byte to look for
	next int // where it stands next in the text: as far as known; len(text) for nowhere
}

// resample is after how many texts it is judged again which bytes are rare.
const resample = 16

func newNeedles(list [][]byte) needles {
	var n needles
	for _, text := range list {
		n.list = append(n.list, needle{text: text})
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

// sample counts the bytes of a part of text.
func (n *needles) sample(text []byte) {
	var seen [256]int
	for _, c := range text[:min(len(text), 4<<10)] {
		seen[c]++
	}
	for i := range n.list {
		fewest := math.MaxInt
		for at, c := range n.list[i].text {
			if seen[c] < fewest {
				n.list[i].rare, fewest = at, seen[c]
			}
		}
	}
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

// index is bytes.Index(text, n.text), by the rarest byte.
func (n *needle) index(text []byte) int {
	last := len(text) - len(n.text) + n.rare + 1 // the rare byte stands before it
	rare, misses := n.text[n.rare], 0
	for at := n.rare; at < last; {
		i := bytes.IndexByte(text[at:last], rare)
		if i < 0 {
			return -1
		}
		start := at + i - n.rare
		if text[start] == n.text[0] && bytes.Equal(text[start:start+len(n.text)], n.text) {
			return start
		}
		at += i + 1
		// Where it is not rare after all, comparing everywhere is faster.
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
