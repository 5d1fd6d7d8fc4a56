package logs

import "golang.org/x/sys/cpu"

// pairAVX2 is pair on the places from which 64 bytes fit, and no further than 16 KiB; with
// sift it is refused, which a and b must be asked for.
//
//go:noescape
func pairAVX2(s []byte, gap int, a, b byte, sift bool) (at, lines int)

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
	return over(s, gap, func(s []byte) (int, int) { return pairAVX2(s, gap, a, b, false) })
}

// refused is the first quote that is followed by " 401" or " 403", as pair answers. One that
// is escaped may be passed over: who writes such a thing is a visitor, in his user agent.
// Without vectors it looks at nothing.
func refused(s []byte) (at, lines int) {
	if !vectors() {
		return -1, 0
	}
	return over(s, 2, func(s []byte) (int, int) { return pairAVX2(s, 2, '"', '4', true) })
}

// refusal is pair and refused at once, and also stops at a '%'. a must not be a quote.
func refusal(s []byte, gap int, a, b byte) (at, lines int) {
	if !vectors() {
		return -1, 0
	}
	return over(s, gap, func(s []byte) (int, int) { return refusalAVX2(s, gap, a, b) })
}

// over calls a kernel as often as it takes to go over s.
func over(s []byte, gap int, kernel func(s []byte) (at, lines int)) (at, lines int) {
	from := 0
	for len(s)-from-max(gap, 4) >= 64 {
		i, n := kernel(s[from:])
		lines += n
		if i >= 0 {
			return from + i, lines
		}
		from += -1 - i
	}
	return -1 - from, lines
}
