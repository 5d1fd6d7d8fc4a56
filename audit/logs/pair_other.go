//go:build !amd64

package logs

// indexPair is the first i with s[i] == a and s[i+gap] == b, or -1.
func indexPair(s []byte, gap int, a, b byte) int { return plainPair(s, 0, gap, a, b) }
