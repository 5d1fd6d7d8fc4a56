package logs

import "golang.org/x/sys/cpu"

// indexPairAVX2 is the first i with s[i] == a and s[i+gap] == b, or -1-n when there is
// none below n. What lies at n and above, fewer than 64 places, it does not look at. gap
// must be positive and less than len(s).
//
//go:noescape
func indexPairAVX2(s []byte, gap int, a, b byte) int

// indexPair is the first i with s[i] == a and s[i+gap] == b, or -1.
func indexPair(s []byte, gap int, a, b byte) int {
	from := 0
	if len(s)-gap >= 64 && cpu.X86.HasAVX2 {
		i := indexPairAVX2(s, gap, a, b)
		if i >= 0 {
			return i
		}
		from = -1 - i
	}
	return plainPair(s, from, gap, a, b)
}
