package logs

import "bytes"

// plainPair is pair by the first of the two bytes.
func plainPair(s []byte, gap int, a, b byte) (at, lines int) {
	last := max(0, len(s)-gap)
	for from := 0; from < last; from++ {
		i := bytes.IndexByte(s[from:last], a)
		if i < 0 {
			break
		}
		from += i
		if s[from+gap] == b {
			return from, int(count(s[:from]))
		}
	}
	return -1 - last, int(count(s[:last]))
}

// indexPair is the first i with s[i] == a and s[i+gap] == b, or -1.
func indexPair(s []byte, gap int, a, b byte) int {
	at, _ := pair(s, gap, a, b)
	if at >= 0 {
		return at
	}
	from := -1 - at
	if at, _ = plainPair(s[from:], gap, a, b); at >= 0 {
		return from + at
	}
	return -1
}
