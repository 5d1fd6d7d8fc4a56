package audit_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"rekey/audit"
)

func TestClean(t *testing.T) {
	t.Parallel()
	hex64 := strings.Repeat("0123456789abcdef", 4)
	tests := []struct{ name, in, want string }{
		{"plain text stays", "Invalid signature from 203.0.113.66", "Invalid signature from 203.0.113.66"},
		{"long path of words stays", "GET /static/js/vendor/bootstrap-datepicker/locales/en-gb/index.js", "GET /static/js/vendor/bootstrap-datepicker/locales/en-gb/index.js"},
		{"hex value", "got " + hex64 + " here", "got [masked] here"},
		{"31 hex digits stay", "id " + hex64[:31] + ".", "id " + hex64[:31] + "."},
		{"hex in a path", "/reset/" + hex64 + "/next", "/reset/[masked]/next"},
		{"hex glued to a word", "X_" + hex64, "X_[masked]"},
		{"two hex values in one run", hex64 + "-" + hex64, "[masked]-[masked]"},
		{"base64 value", "v=AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCd12= end", "[masked] end"},
		{"named value of any shape", "GET /x?token=hunter2&a=1", "GET /x?token=[masked]&a=1"},
		{"named value, quoted", `signature="abc" ok`, `signature="[masked]" ok`},
		{"empty named value", "token=&a=1", "token=&a=1"},
		{"control characters", "a\x00b\x1b[31mc\x7fd\te\r", "ab[31mcd e"},
		{"invisible and reversing characters", "a\u202eb\u200bc\u2028d\ufeff", "abcd"},
		{"invalid UTF-8", "a\xff\xfeb", "ab"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := audit.Clean(tt.in, 300); got != tt.want {
				t.Errorf("Clean(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestCleanCutsBetweenRunes(t *testing.T) {
	t.Parallel()
	got := audit.Clean(strings.Repeat("é", 400), 300)
	if !utf8.ValidString(got) || utf8.RuneCountInString(got) != 300 || !strings.HasSuffix(got, "…") {
		t.Errorf("Clean cut to %d runes ending in %q, want 300 ending in an ellipsis", utf8.RuneCountInString(got), got[len(got)-4:])
	}
	if got := audit.Clean(strings.Repeat("é", 300), 300); utf8.RuneCountInString(got) != 300 || strings.HasSuffix(got, "…") {
		t.Errorf("a text that fits was cut: %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("Invalid signature token=abc", 300)
	f.Add(strings.Repeat("a1B", 30), 20)
	f.Add("\xff\x00"+strings.Repeat("deadBEEF", 9), 40)
	f.Fuzz(func(t *testing.T, in string, limit int) {
		limit = 1 + int(uint(limit)%1000)
		got := audit.Clean(in, limit)
		if !utf8.ValidString(got) {
			t.Error("Clean answered invalid UTF-8")
		}
		if n := utf8.RuneCountInString(got); n > limit {
			t.Errorf("Clean answered %d runes, limit %d", n, limit)
		}
		run := 0
		for _, c := range []byte(got) {
			if c < ' ' || c == 0x7f {
				t.Errorf("control character %#x left", c)
			}
			if c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' {
				run++
			} else {
				run = 0
			}
			if run >= 32 {
				t.Error("32 hex digits in a row left")
				break
			}
		}
	})
}
