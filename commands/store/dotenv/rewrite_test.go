package dotenv

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rekey/commands/secret"
	"rekey/commands/store"
)

// edited rewrites text as Write would, without a disk.
func edited(text, current, previous string) (string, error) {
	ref := store.Ref{Variable: "X", Previous: "X_OLD"}
	want := store.State{Current: secret.NewValue(current), Previous: secret.NewValue(previous)}
	out, err := rewrite(parse([]byte(text), ref.Variable, ref.Previous), ref, want)
	return string(out), err
}

func TestRewriteKeepsTheManner(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, current, previous, want string }{
		"plain":                     {"A=1\nX=old\nB=2\n", "new", "old", "A=1\nX=new\nX_OLD=old\nB=2\n"},
		"retire":                    {"A=1\nX=new\nX_OLD=old\nB=2\n", "new", "", "A=1\nX=new\nB=2\n"},
		"single quotes":             {"X='old'\n", "new", "old", "X='new'\nX_OLD='old'\n"},
		"double quotes":             {"X=\"old\"\n", "new", "old", "X=\"new\"\nX_OLD=\"old\"\n"},
		"export and indentation":    {"  export X=old\n", "new", "old", "  export X=new\n  export X_OLD=old\n"},
		"blanks around the sign":    {"X = old\n", "new", "old", "X = new\nX_OLD = old\n"},
		"inline comment":            {"X=old  # from the vault\n", "new", "", "X=new  # from the vault\n"},
		"comment after quotes":      {"X='old' # why\n", "new", "", "X='new' # why\n"},
		"CRLF":                      {"A=1\r\nX=old\r\n", "new", "old", "A=1\r\nX=new\r\nX_OLD=old\r\n"},
		"no final newline":          {"A=1\nX=old", "new", "old", "A=1\nX=new\nX_OLD=old"},
		"no final newline, retired": {"A=1\nX=new\nX_OLD=old", "new", "", "A=1\nX=new"},
		"CRLF, retired at the end":  {"X=new\r\nX_OLD=old", "new", "", "X=new"},
		"one line only":             {"X=old", "new", "old", "X=new\nX_OLD=old"},
		"old comes first":           {"X_OLD=a\nX=old\n", "new", "old", "X_OLD=old\nX=new\n"},
		"duplicates":                {"X=a\nA=1\nX=b\n", "new", "b", "X=new\nA=1\nX=new\nX_OLD=b\n"},
		"duplicates of the old":     {"X=new\nX_OLD=a\nX_OLD=b\nX_OLD=c", "new", "", "X=new"},
		"scattered old":             {"X_OLD=a\nX=new\nX_OLD=c\nA=1\nX_OLD=", "new", "", "X=new\nA=1"},
		"empty old stays":           {"X=old\nX_OLD=\n", "old", "", "X=old\nX_OLD=\n"},
		"empty old is filled":       {"X=old\nX_OLD=   \n", "new", "old", "X=new\nX_OLD=old   \n"},
		"look-alikes":               {"#X=no\nXX=1\nX.Y=2\nMY_X=3\nX=old\n", "new", "", "#X=no\nXX=1\nX.Y=2\nMY_X=3\nX=new\n"},
		"others span lines":         {"PEM=\"-----\nX is not here\n#\n\\\"\n\"\nX=old\n", "new", "", "PEM=\"-----\nX is not here\n#\n\\\"\n\"\nX=new\n"},
		"other's quote unclosed":    {"A='oops\nX=old\n", "new", "", "A='oops\nX=new\n"},
		"unquoted stays where fit":  {"X=old\n", "a'b", "", "X=a'b\n"},
		"needs quotes":              {"X=old\n", "a b#c", "", "X='a b#c'\n"},
		"needs other quotes":        {"X='old'\n", "a 'b", "", "X=\"a 'b\"\n"},
		"held already":              {"X=\"a'b\" # c\nX_OLD='o'\n", "a'b", "o", "X=\"a'b\" # c\nX_OLD='o'\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := edited(c.text, c.current, c.previous)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("file after the write (-want +got):\n%s", d)
			}
		})
	}
}

// manner is a way to write down an assignment.
type manner struct{ prefix, equals, open, after, ending string }

func drawManner(t *rapid.T) manner {
	open := rapid.SampledFrom([]string{"", "'", `"`}).Draw(t, "quotes")
	return manner{
		prefix: rapid.SampledFrom([]string{"", "export ", "  ", "\texport\t"}).Draw(t, "prefix"),
		equals: rapid.SampledFrom([]string{"=", " = ", "= "}).Draw(t, "equals"),
		open:   open,
		after:  rapid.SampledFrom([]string{"", "  ", " # a comment with X=1 and 'quotes\""}).Draw(t, "after"),
		ending: rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "ending"),
	}
}

func (m manner) line(name, value string) string {
	return m.prefix + name + m.equals + m.open + value + m.open + m.after + m.ending
}

// TestRewriteIsReadBack writes any value that can be written into any file and
// expects it back, with every other line unchanged.
func TestRewriteIsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		others := rapid.SliceOfN(rapid.SampledFrom([]string{
			"", "# comment X=1", "A=1", "export B='two words'", "C=\"multi\nline # not a comment\n\"", "D=unterminated'",
			"XA=$X", "E=\"\\\"X\"", "not an assignment", "F='a\\'b' # c", "G=`x`", "\tH = 5 ", "I=",
		}), 0, 6).Draw(t, "others")
		m := drawManner(t)
		at := rapid.IntRange(0, len(others)).Draw(t, "position")
		var text strings.Builder
		for i, o := range others {
			if i == at {
				text.WriteString(m.line("X", "first"))
			}
			text.WriteString(o + m.ending)
		}
		if at == len(others) {
			text.WriteString(m.line("X", "first"))
		}
		file := text.String()
		if rapid.Bool().Draw(t, "no final newline") {
			file = strings.TrimSuffix(file, m.ending)
		}
		draw := rapid.StringOfN(rapid.RuneFrom([]rune("ab0#'\"\\ \t$`{}=\n\ré√!")), 1, 12, -1)
		current, previous := draw.Draw(t, "current"), draw.Draw(t, "previous")

		out, err := edited(file, current, previous)
		if portable(current) && portable(previous) != (err == nil) {
			t.Fatalf("portable says %v, the write says %v", portable(previous), err)
		}
		if err != nil {
			return
		}
		d := parse([]byte(out), "X", "X_OLD")
		for name, want := range map[string]string{"X": current, "X_OLD": previous} {
			got, found, err := d.value(name)
			if err != nil || !found || got.Reveal() != want {
				t.Fatalf("%s reads back as %q (%v, %v), want %q, in:\n%s", name, got.Reveal(), found, err, want, out)
			}
		}
		back, err := edited(out, "first", "")
		if err != nil {
			t.Fatal(err)
		}
		// The quoting of X itself may have had to change; everything else must not.
		if strip(back) != strip(file) {
			t.Fatalf("there and back changed other bytes:\n%q\n%q", file, back)
		}
	})
}

func portable(s string) bool { return Portable(secret.NewValue(s)) == nil }

func strip(s string) string {
	return strings.NewReplacer(`'first'`, "first", `"first"`, "first").Replace(s)
}

func TestAmbiguousValuesAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"X=a$b", "X='a$b'", "X=\"a\\$b\"", "X=${A}", // dotenv-expand
		"X=a#b", "X= # comment", "X=`a`", "X='a\nb'", "X=\"a\nb\"", `X="a\nb"`, `X="a\"b"`, `X='a\\b'`, `X='a\'b'`,
		"X='a", "X=\"a", "X='a'b", "X='\"a\"'", "X=a\x00b", "X=a\xffb", "A=\"\nX=1\n\"\nX=2",
		"X=fine\nX=a$b",
	} {
		d := parse([]byte(text), "X", "X_OLD")
		if _, _, err := d.value("X"); err == nil && d.hidden() == nil {
			t.Errorf("%q was read without complaint", text)
		}
	}
	for _, v := range []string{"a$b", "a\nb", "a\rb", "a'#b", "a\x7fb", "\xff", "a\u2028b", "\"a b\"", `a b\`, `'"`} {
		if Portable(secret.NewValue(v)) == nil {
			got, _ := quote(secret.NewValue(v), bare)
			t.Errorf("%q would be written as %s", v, got)
		}
	}
	for i, v := range []string{"abc", "Zm9v+/==", "a'b", `a"b`, `a\b`, `a\`, "a b", "a#b", "#a", " a ", "a=b", "é√", `a\\b`, "'", `a\\b'`, `a"b c`, "a'b c", "!@%^&*(-_=+)"} {
		if err := Portable(secret.NewValue(v)); err != nil {
			t.Errorf("value %d: %v", i, err)
		}
	}
}

// FuzzParse holds the parser to never losing its place: statements cover the file.
func FuzzParse(f *testing.F) {
	f.Add("A=1\nX='a\nb'\r\nX_OLD=\"")
	f.Fuzz(func(t *testing.T, text string) {
		d := parse([]byte(text), "X", "X_OLD")
		for i, a := range d.assignments {
			if !(a.start <= a.nameAt && a.nameAt < a.from && a.from <= a.to && a.to <= a.end && a.end <= len(text)) {
				t.Fatalf("assignment %d is out of order: %s", i, fmt.Sprint(a.start, a.nameAt, a.from, a.to, a.end))
			}
		}
		if d.last("X") == nil {
			return
		}
		out, err := edited(text, "new", "old")
		if err != nil {
			return
		}
		if again, err := edited(out, "new", "old"); err != nil || again != out {
			t.Fatalf("a second write changed the file: %v", err)
		}
	})
}
