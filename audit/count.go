package audit

import "fmt"

// Count is how many of something there are, for a sentence: "1 line", "8,112 lines". The
// plural is the noun with an s.
func Count[N int | int64](n N, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Number(n) + " " + noun
}

// Number is a number for people to read: "8,112".
func Number[N int | int64](n N) string {
	digits := fmt.Sprint(n)
	first := 0
	if n < 0 {
		first = 1 // behind the sign
	}
	for i := len(digits) - 3; i > first; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
