package logstest_test

import (
	"bytes"
	"regexp"
	"testing"

	"rekey/audit/logs/logstest"
)

// TestDecoys holds the generated access log against what was measured on real ones: it is
// the decoys that a reader is fast or slow on, and right or wrong.
func TestDecoys(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	if err := logstest.Write(&log, logstest.Access, 8<<20); err != nil {
		t.Fatal(err)
	}
	digits, quoted := regexp.MustCompile(`401|403`), regexp.MustCompile(`" (401|403) `)
	refused := regexp.MustCompile(`^[^"]*"([^"\\]|\\.)*" (401|403) `)
	var all, some, behind, denied float64
	for line := range bytes.Lines(log.Bytes()) {
		all++
		if digits.Match(line) {
			some++
		}
		if quoted.Match(line) {
			behind++
		}
		if refused.Match(line) {
			denied++
		}
	}
	for what, c := range map[string]struct{ got, want float64 }{
		"of all lines":               {denied / all, 0.005},
		"of those with the digits":   {denied / some, 0.034},
		"of those behind some quote": {denied / behind, 0.20},
	} {
		if c.got < 0.9*c.want || c.got > 1.1*c.want {
			t.Errorf("%s %.2f%% are refusals, want about %.2f%%", what, 100*c.got, 100*c.want)
		}
	}
}
