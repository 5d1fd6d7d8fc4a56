package logs

import "golang.org/x/sys/cpu"

// splitLineAVX2 finds the first two quotes of the line that s begins with, -1 for those
// there are not, and its length. A length of -1 means that the line goes on into the
// last 31 bytes of s, which it does not look at; the quotes mean nothing then.
//
//go:noescape
func splitLineAVX2(s []byte) (open, end, length int)

// splitLine finds the first two quotes and the end of the line that s begins with, in
// one go; not ok means that the line is to be searched in the plain way.
func splitLine(s []byte) (open, end, length int, ok bool) {
	if !cpu.X86.HasAVX2 {
		return 0, 0, 0, false
	}
	open, end, length = splitLineAVX2(s)
	return open, end, length, length >= 0
}
