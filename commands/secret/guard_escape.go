package secret

import "strings"

// whole widens s so that it does not begin or end inside an escape sequence of JSON
// or of percent-encoding: what is left of one would make the text around it unreadable
// to whoever decodes it. That happens where only some blocks of a value are there.
func whole(b []byte, s span) span {
	for k := 1; k <= 5; k++ {
		if n := escape(b, s.from-k); n > k {
			s.from -= k
			break
		}
	}
	for k := 1; k <= 5; k++ {
		if n := escape(b, s.to-k); n > k {
			s.to += n - k
			break
		}
	}
	return s
}

// escape answers how long the escape sequence that begins at i is, 0 when none does.
func escape(b []byte, i int) int {
	if i < 0 || i+1 >= len(b) {
		return 0
	}
	switch {
	case b[i] == '%' && hexDigits(b, i+1, 2):
		return 3
	case b[i] != '\\' || backslashes(b, i)%2 == 1:
		return 0 // or a backslash that is itself escaped
	case b[i+1] == 'u' && hexDigits(b, i+2, 4):
		return 6
	case strings.IndexByte(`"\/bfnrt`, b[i+1]) >= 0:
		return 2
	}
	return 0
}

func hexDigits(b []byte, i, n int) bool {
	if i+n > len(b) {
		return false
	}
	for _, c := range b[i : i+n] {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// backslashes counts those right before i.
func backslashes(b []byte, i int) int {
	n := 0
	for i-n > 0 && b[i-n-1] == '\\' {
		n++
	}
	return n
}
