package logs

import "bytes"

// plainPair is indexPair from an index on, by the first of the two bytes.
func plainPair(s []byte, from, gap int, a, b byte) int {
	for last := len(s) - gap; from < last; from++ {
		i := bytes.IndexByte(s[from:last], a)
		if i < 0 {
			return -1
		}
		from += i
		if s[from+gap] == b {
			return from
		}
	}
	return -1
}
