package usage_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"rekey/commands/issue"
	"rekey/commands/secret"
)

// pack makes a file as the tools that its name speaks of would.
func pack(t *testing.T, path string, last time.Time, lines ...string) {
	t.Helper()
	write(t, path, last, lines...)
	var out bytes.Buffer
	var z io.WriteCloser
	var err error
	switch filepath.Ext(path) {
	case ".gz":
		z = gzip.NewWriter(&out)
	case ".zst":
		z, err = zstd.NewWriter(&out)
	case ".bz2":
		if _, err := exec.LookPath("bzip2"); err != nil {
			t.Skip("bzip2 is not installed")
		}
		cmd := exec.CommandContext(t.Context(), "bzip2")
		cmd.Stdin, cmd.Stdout = strings.NewReader(strings.Join(lines, "\n")+"\n"), &out
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	default:
		return
	}
	if z != nil && err == nil {
		_, err = io.WriteString(z, strings.Join(lines, "\n")+"\n")
		err = errors.Join(err, z.Close())
	}
	if err = errors.Join(err, os.WriteFile(path, out.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	touch(t, path, last)
}

// by is who used the old value, in order.
func by(got issue.Usage) []string {
	var who []string
	for _, c := range got.Callers {
		who = append(who, c.Name)
	}
	slices.Sort(who)
	return who
}

// A log is read with all that was rotated away of it, whatever it is called and however it
// is packed; of each part, what is in the quiet span counts.
func TestEveryPartIsRead(t *testing.T) {
	t.Parallel()
	for _, parts := range [][]string{
		{"app.log", "app.log.1", "app.log.2.gz"},
		{"app.log", "app.log.1.zst"},
		{"app.log", "app.log.1.bz2"},
		{"app.log", "app.log-20261122", "app.log-20261121.zst"},
		{"app.log", "app-2026-11-22T19-35-18.123.log.gz"},
		{"app-2026-11-22.log", "app-2026-11-21.log.gz"}, // the newest is written to
		{"app.log", "app.log.1.gz.1"},                   // no name of a part
	} {
		dir := t.TempDir()
		var want []string
		for n, part := range parts {
			last := ago(time.Duration(n) * time.Minute)
			pack(t, filepath.Join(dir, part), last,
				iso(ago(time.Hour))+" verified_with=previous from 10.0.9.9",
				iso(last.Add(-time.Second))+fmt.Sprintf(" verified_with=previous from 10.0.0.%d", n),
				"a traceback", iso(last)+" end")
			if part != "app.log.1.gz.1" {
				want = append(want, fmt.Sprintf("10.0.0.%d", n))
			}
		}
		pack(t, filepath.Join(dir, "app.log.9.gz"), ago(time.Hour), iso(ago(time.Minute))+" verified_with=previous from 10.0.9.8")
		got, err := looker(t, atNow).Look(t.Context(), source(filepath.Join(dir, "app.log")), long)
		if diff := cmp.Diff(want, by(got)); err != nil || diff != "" {
			t.Errorf("%v: %v (-want +got):\n%s", parts, err, diff)
		}
	}
}

// What was not written to since the span began is left alone, even where it could not be
// read.
func TestOldPartsAreLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.log")
	write(t, path, ago(time.Second), iso(ago(time.Minute))+" verified_with=previous from 10.0.0.7")
	write(t, path+".1.xz", ago(6*time.Minute), "\xfd7zXZ\x00 and so on")
	write(t, path+".2.gz", ago(time.Hour), "\x1f\x8b\x08 this is no gzip")
	got, err := looker(t, atNow).Look(t.Context(), source(path), long)
	if err != nil || len(got.Users) != 1 {
		t.Errorf("%+v, %v; want one user", got, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, ago(time.Second))
	if got, err := looker(t, atNow).Look(t.Context(), source(path), long); err != nil || got.Any() {
		t.Errorf("an empty log beside them: %+v, %v", got, err)
	}
}

// A folder and a pattern of paths are the logs they name, as for evidence.
func TestSeveralLogs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.MkdirAll(filepath.Join(dir, "web"), 0o700); err != nil {
		t.Fatal(err)
	}
	use := func(n int) string {
		return fmt.Sprintf("%s verified_with=previous from 10.0.0.%d", iso(ago(time.Duration(n)*10*time.Second)), n)
	}
	write(t, filepath.Join(dir, "api.log"), ago(time.Second), use(1), iso(ago(time.Second))+" end")
	pack(t, filepath.Join(dir, "api.log.1.zst"), ago(20*time.Second), use(2))
	write(t, filepath.Join(dir, "quiet.log"), ago(time.Second))
	write(t, filepath.Join(dir, "ended.log"), ago(time.Hour), "verified_with=previous, long ago")
	write(t, filepath.Join(dir, "web", "web.log"), ago(30*time.Second), use(3))
	write(t, filepath.Join(dir, "web", "web.txt"), ago(40*time.Second), use(4))
	for path, want := range map[string][]string{
		dir:                               {"10.0.0.1", "10.0.0.2"},
		filepath.Join(dir, "*.log"):       {"10.0.0.1", "10.0.0.2"},
		filepath.Join(dir, "**", "*.log"): {"10.0.0.1", "10.0.0.2", "10.0.0.3"},
		filepath.Join(dir, "web", "*"):    {"10.0.0.3", "10.0.0.4"},
	} {
		got, err := looker(t, atNow).Look(t.Context(), source(path), long)
		if diff := cmp.Diff(want, by(got)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", path, err, diff)
		}
	}
	// A pattern that names nobody tells by the log.
	got, err := looker(t, atNow).Look(t.Context(), []secret.UsageSource{{Log: filepath.Join(dir, "**", "*.log"), Pattern: "verified_with=previous"}}, long)
	if diff := cmp.Diff([]string{"logs/api.log", "logs/web/web.log"}, by(got)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	// One that cannot be read is an error, and named; what the others tell is not enough.
	write(t, filepath.Join(dir, "api.log.2.xz"), ago(time.Minute), "\xfd7zXZ\x00 and so on")
	if _, err := looker(t, atNow).Look(t.Context(), source(dir), long); err == nil || !strings.Contains(err.Error(), "logs/api.log.2.xz: It is compressed with xz") {
		t.Errorf("a part that is not read: %v", err)
	}
}

// Times as programs that write JSON and key=value write them.
func TestTimesInFields(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{
		`{"level":30,"time":%d,"msg":"hooks verified_with=previous from 10.0.0.7"}`,
		`{"msg":"a visitor's 2020-01-01 00:00:00 verified_with=previous from 10.0.0.7 ","ts":%d}`,
		`level=info ts=%d msg="verified_with=previous from 10.0.0.7 "`,
	} {
		path := filepath.Join(t.TempDir(), "app.log")
		write(t, path, ago(time.Second),
			fmt.Sprintf(strings.Replace(layout, "0.7", "0.6", 1), ago(6*time.Minute).UnixMilli()),
			fmt.Sprintf(layout, ago(4*time.Minute).UnixMilli()))
		got, err := looker(t, atNow).Look(t.Context(), source(path), long)
		if err != nil || len(got.Users) != 1 || !got.Since.Equal(ago(4*time.Minute)) {
			t.Errorf("%s: %+v, %v; want the use of 4 min ago", layout, got, err)
		}
	}
}

// A server that names its zone and an application that does not write into one log.
func TestTwoClocksInOneLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "all.log")
	write(t, path, ago(time.Second),
		ago(6*time.Minute).In(time.FixedZone("", -5*3600)).Format("2006-01-02 15:04:05,000")+" verified_with=previous from 10.0.0.6",
		ago(4*time.Minute).In(time.FixedZone("", -5*3600)).Format("2006-01-02 15:04:05,000")+" verified_with=previous from 10.0.0.4",
		"10.0.0.4 - - ["+ago(time.Second).Format("02/Jan/2006:15:04:05 -0700")+`] "GET / HTTP/1.1" 200 1`)
	got, err := looker(t, atNow).Look(t.Context(), source(path), long)
	if diff := cmp.Diff([]string{"10.0.0.4"}, by(got)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
