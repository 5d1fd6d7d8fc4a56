package cli

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"rekey/commands"
)

// Every command that a sentence for Slack may name has its terminal form, and that is
// the one that help tells people.
func TestWordsForTheTerminal(t *testing.T) {
	t.Parallel()
	for _, topic := range commands.Topics() {
		got, want := strings.Fields(words(topic.Example)), strings.Fields(topic.CLI)
		if len(got) < 2 || got[0] != "rekey" || strings.Contains(words(topic.Example), "/rotate") {
			t.Errorf("%s becomes %v", topic.Example, got)
		}
		if topic.Example != "/rotate help" && got[1] != want[1] {
			t.Errorf("%s becomes %v, help says %v", topic.Example, got, want)
		}
	}
	for in, want := range map[string]string{
		"Nothing was started; /rotate status shows how far it is.": "Nothing was started; rekey runs shows how far it is.",
		"rekey takes commands in <#C012AB3CD> only":                "rekey takes commands in the Slack channel C012AB3CD only",
		"/etc/rotate/x and /rotated stay":                          "/etc/rotate/x and /rotated stay",
	} {
		if got := words(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 20)
	for in, want := range map[string]string{
		"short\n":                              "short\n",
		"":                                     "",
		long + "end\n":                         strings.TrimSpace(strings.Repeat("word ", 16)) + "\n  word word word word end\n",
		"  - " + long + "x\n":                  "  - " + strings.TrimSpace(strings.Repeat("word ", 15)) + "\n      word word word word word x\n",
		strings.Repeat("w", 74) + " (0.1 s)\n": strings.Repeat("w", 74) + "\n  (0.1 s)\n",
	} {
		if got := wrap(in); got != want {
			t.Errorf("wrap(%q)\n got %q\nwant %q", in, got, want)
		}
	}
}

// Wrapping loses no word, and leaves no line too long that could be broken.
func TestWrapKeepsEveryWord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOf(rapid.StringMatching(`[a-zé0-9/]{1,30}`)).Draw(t, "words"), " ") + "\n"
		out := wrap(in)
		if strings.Join(strings.Fields(out), " ") != strings.Join(strings.Fields(in), " ") {
			t.Fatalf("%q became %q", in, out)
		}
		for line := range strings.Lines(out) {
			if utf8.RuneCountInString(strings.TrimRight(line, " \n")) > columns {
				t.Fatalf("too long: %q", line)
			}
		}
	})
}
