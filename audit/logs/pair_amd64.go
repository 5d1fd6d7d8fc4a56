package logs

import "golang.org/x/sys/cpu"

// pairAVX2 is pair on the places from which 64 bytes fit, and no further than 16 KiB.
//
//go:noescape
func pairAVX2(s []byte, gap int, a, b byte) (at, lines int)

// refusalAVX2 is refusal on such places.
//
//go:noescape
func refusalAVX2(s []byte, gap int, a, b byte) (at, lines int)

// vectors reports whether this processor has what the kernels need.
func vectors() bool { return cpu.X86.HasAVX2 && cpu.X86.HasPOPCNT }

// pair is the first i with s[i] == a and s[i+gap] == b, and how many newlines there are
// before it. An i of -1-n means that there is none below n; at n and above it may not have
// been looked. gap must be positive.
func pair(s []byte, gap int, a, b byte) (at, lines int) {
	if !vectors() {
		return plainPair(s, gap, a, b)
	}
	return over(s, gap, a, b, pairAVX2)
}

// refusal is pair that also stops where s[i] == '"' and s[i+2] == '4', and at a '%'. gap
// must be 2 at least. Without vectors it looks at nothing.
func refusal(s []byte, gap int, a, b byte) (at, lines int) {
	if !vectors() {
		return -1, 0
	}
	return over(s, gap, a, b, refusalAVX2)
}

// over calls a kernel as often as it takes to go over s.
func over(s []byte, gap int, a, b byte, kernel func(s []byte, gap int, a, b byte) (at, lines int)) (at, lines int) {
	from := 0
	for len(s)-from-gap >= 64 {
		i, n := kernel(s[from:], gap, a, b)
		lines += n
		if i >= 0 {
			return from + i, lines
		}
		from += -1 - i
	}
	return -1 - from, lines
}
