//go:build !amd64

package logs

func vectors() bool { return false }

// pair is the first i with s[i] == a and s[i+gap] == b, and how many newlines there are
// before it. An i of -1-n means that there is none below n; at n and above it may not have
// been looked. gap must be positive.
func pair(s []byte, gap int, a, b byte) (at, lines int) { return plainPair(s, gap, a, b) }

// refused and refusal are for vectors only.
func refused([]byte) (at, lines int)                  { return -1, 0 }
func refusal([]byte, int, byte, byte) (at, lines int) { return -1, 0 }
