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

// needle is a string to be looked for by two bytes of it that are rare in the text.
// bytes.Index looks for the first one, which is an "n" in every other word.
type needle struct {
	text        []byte
	rare, other int // indexes of the bytes to look for, the rarest first
	next        int // where it stands next in the text, as far as known; len(text): nowhere
}

// resample is after how many texts it is judged again which bytes are rare.
const resample = 16

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

// sample counts the bytes of a part of text.
func (n *needles) sample(text []byte) {
	var seen [256]int
	for _, c := range text[:min(len(text), 4<<10)] {
		seen[c]++
	}
	for i := range n.list {
		one := &n.list[i]
		one.rare = rarest(one.text, &seen, -1)
		one.other = rarest(one.text, &seen, one.rare)
	}
}

// rarest is the index of the byte of s that was seen least, other than the one at not.
func rarest(s []byte, seen *[256]int, not int) int {
	best, fewest := 0, math.MaxInt
	for at, c := range s {
		if at != not && seen[c] < fewest {
			best, fewest = at, seen[c]
		}
	}
	return best
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
	first, second := min(n.rare, n.other), max(n.rare, n.other)
	a, b, gap := n.text[first], n.text[second], second-first
	end := len(text) - (len(n.text) - second - 1) // the second byte stands before it
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
