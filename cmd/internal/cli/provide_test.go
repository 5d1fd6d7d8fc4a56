package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rekey/commands/secret"
)

func TestTidy(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"s3cret":          "s3cret",
		"s3cret\n":        "s3cret",
		"s3cret\r\n":      "s3cret",
		"two words\n":     "two words",
		"Schlüssel-鍵\n":   "Schlüssel-鍵",
		"":                "!no value was given",
		"\n":              "!no value was given",
		"s3cret\n\n":      "!more than one line",
		"s3cret\nother\n": "!more than one line",
		"s3cret\x1b[D":    "!control character",
		"s3\x00cret":      "!control character",
		"s3cr\u0085et":    "!control character",
		"s3cret\xff":      "!no text in UTF-8",
		" s3cret":         "!begins or ends with a space",
		"s3cret\u00a0\n":  "!begins or ends with a space",
	} {
		v, err := tidy(in)
		why, refused := strings.CutPrefix(want, "!")
		if !refused {
			if err != nil || !v.Equal(secret.NewValue(want)) {
				t.Errorf("%q: not taken as %q (%v)", in, want, err)
			}
			continue
		}
		var f *failure
		if !errors.As(err, &f) || f.code != ExitRefused || !strings.Contains(f.text, why) || strings.Contains(f.text, "s3c") {
			t.Errorf("%q: got %v, want a refusal with %q", in, err, why)
		}
	}
}

func TestAFileIsReadOnlyByItsOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // past the umask
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		write("mine", "s3cret\n", 0o600):                               "",
		write("mine-alone", "s3cret\n", 0o400):                         "",
		write("groups", "s3cret\n", 0o640):                             "can be read by others",
		write("worlds", "s3cret\n", 0o604):                             "can be read by others",
		write("written", "s3cret\n", 0o602):                            "can be read by others",
		write("huge", strings.Repeat("s3cret", longestValue/4), 0o600): "more than 64 KiB",
		dir:                             "is no file",
		pipe:                            "is no file",
		filepath.Join(dir, "not-there"): "cannot be read",
	} {
		text, err := fromFile(path)
		var f *failure
		switch {
		case want == "" && (err != nil || text != "s3cret\n"):
			t.Errorf("%s: %v", filepath.Base(path), err)
		case want != "" && (!errors.As(err, &f) || f.code != ExitRefused || !strings.Contains(f.text, want) || strings.Contains(f.text, "s3c")):
			t.Errorf("%s: got %v, want a refusal with %q", filepath.Base(path), err, want)
		}
	}
}

func TestAStoreIsReadWhereItIsSafe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(path, []byte("A=1\nEMAIL_HOST_PASSWORD=s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := fromStore(t.Context(), path+"#EMAIL_HOST_PASSWORD")
	if err != nil || !v.Equal(secret.NewValue("s3cret")) {
		t.Errorf("not read: %v", err)
	}
	for text, code := range map[string]int{
		path:                       ExitUsage,
		"#EMAIL_HOST_PASSWORD":     ExitUsage,
		path + "#":                 ExitUsage,
		path + "#NOT_THERE":        ExitRefused,
		path + ".not#A":            ExitRefused,
		filepath.Base(path) + "#A": ExitRefused,
	} {
		var f *failure
		if _, err := fromStore(t.Context(), text); !errors.As(err, &f) || f.code != code || strings.Contains(f.text, "s3c") {
			t.Errorf("%s: got %v, want exit code %d", text, err, code)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	var f *failure
	if _, err := fromStore(t.Context(), path+"#A"); !errors.As(err, &f) || f.code != ExitRefused {
		t.Errorf("a file that everybody reads: %v", err)
	}
}
