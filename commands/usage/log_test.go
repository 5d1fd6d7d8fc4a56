package usage_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/commands/issue"
	"rekey/commands/secret"
	"rekey/commands/usage"
)

const canary = "canary-5f3a90c1b7d2e844-canary"

// now is when the tests look; long is so long ago that it does not matter.
var (
	now  = time.Date(2026, 11, 22, 19, 40, 0, 0, time.UTC)
	long = now.Add(-24 * time.Hour)
)

func looker(t *testing.T, clock func() time.Time) *usage.Looker {
	t.Helper()
	key := secret.Key{Value: secret.NewValue(strings.Repeat("k", secret.KeySize))}
	guard := secret.NewGuard(key)
	guard.Add(secret.Fingerprints(key, "X", "production", "live", secret.NewValue(canary)))
	l, err := usage.New(usage.Config{Guard: guard, Apart: time.Millisecond, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func atNow() time.Time { return now }

// write makes a log whose last line was written at last.
func write(t *testing.T, path string, last time.Time, lines ...string) {
	t.Helper()
	text := strings.Join(lines, "\n") + "\n"
	if len(lines) == 0 {
		text = ""
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	touch(t, path, last)
}

func touch(t *testing.T, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// previous is what the Django helper writes.
const previous = `verified_with=previous(?: from (?P<who>\S+))?`

func source(path string) []secret.UsageSource {
	return []secret.UsageSource{{Log: path, Pattern: previous}}
}

func ago(d time.Duration) time.Time { return now.Add(-d) }

func iso(at time.Time) string { return at.Format("2006-01-02 15:04:05,000") }

func TestLogTellsWho(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.log")
	write(t, path, ago(2*time.Second),
		"INFO "+iso(ago(time.Hour))+" hooks verified_with=previous from 10.0.0.1",
		"INFO "+iso(ago(4*time.Minute))+" hooks verified_with=previous from 10.0.0.7",
		"INFO "+iso(ago(3*time.Minute))+" hooks verified_with=current from 10.0.0.8",
		"INFO "+iso(ago(2*time.Minute))+" hooks verified_with=previous from 10.0.0.9",
		"INFO "+iso(ago(90*time.Second))+" hooks verified_with=previous from 10.0.0.9",
		"INFO "+iso(ago(80*time.Second))+" hooks verified_with=previous",
		"INFO "+iso(ago(70*time.Second))+" hooks verified_with=previous from "+canary,
		"INFO "+iso(ago(2*time.Second))+" hooks something else",
	)
	got, err := looker(t, atNow).Look(t.Context(), source(path), long)
	want := issue.Usage{
		Users: []string{
			"10.0.0.9 (2 times, last at 19:38:30 UTC)", "[redacted] (once, last at 19:38:50 UTC)",
			"somebody without a name (once, last at 19:38:40 UTC)", "10.0.0.7 (once, last at 19:36:00 UTC)",
		},
		PerMinute: 1, // 5 in 5 min
		Since:     ago(70 * time.Second),
	}
	last := []time.Duration{90 * time.Second, 70 * time.Second, 80 * time.Second, 4 * time.Minute}
	for i, name := range []string{"10.0.0.9", "[redacted]", "somebody without a name", "10.0.0.7"} {
		want.Callers = append(want.Callers, issue.Caller{Name: name, Says: want.Users[i], PerMinute: 0.2, Last: ago(last[i])})
	}
	want.Callers[0].PerMinute = 0.4
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	// Since the switch, nothing happened; but it is not 5 min ago.
	got, err = looker(t, atNow).Look(t.Context(), source(path), ago(time.Minute))
	var wait *issue.Wait
	if got.Any() || !errors.As(err, &wait) || wait.Again != 4*time.Minute || wait.Sentence != "nobody was seen using the old value for 60 s, and 5 min are called for" {
		t.Errorf("since the switch: %+v, %v", got, err)
	}
	// Uses before the switch do not count, those after it do, and need no patience.
	got, err = looker(t, atNow).Look(t.Context(), source(path), ago(75*time.Second))
	if err != nil || len(got.Users) != 1 || got.PerMinute != 0.8 {
		t.Errorf("75 s after the switch: %+v, %v", got, err)
	}
}

func TestQuietLogIsNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	for name, lines := range map[string][]string{
		"old uses":          {iso(ago(10*time.Minute)) + " verified_with=previous", iso(ago(time.Second)) + " verified_with=current"},
		"an empty log":      {},
		"no use":            {"verified_with=current", "without any time"},
		"the use's own age": {iso(ago(10*time.Minute)) + " x", "verified_with=previous", iso(ago(time.Second)) + " y"},
	} {
		write(t, path, ago(time.Second), lines...)
		if got, err := looker(t, atNow).Look(t.Context(), source(path), long); err != nil || got.Any() {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	write(t, path, ago(10*time.Minute), "verified_with=previous, at a time unknown but not lately")
	if got, err := looker(t, atNow).Look(t.Context(), source(path), long); err != nil || got.Any() {
		t.Errorf("a log not written to: %+v, %v", got, err)
	}
}

func TestEveryLayoutOfTime(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("", 3600)
	newYork := time.FixedZone("", -5*3600)
	for layout, zones := range map[string][]*time.Location{
		"INFO 2006-01-02 15:04:05,000 views":               {time.UTC, berlin, newYork},
		"2006-01-02T15:04:05Z07:00":                        {time.UTC, berlin, newYork},
		`{"level":"info","ts":"2006-01-02T15:04:05.000Z"}`: {time.UTC},
		"2006-01-02 15:04:05.000 UTC [77] app@db LOG: ":    {time.UTC},
		"2006-01-02 15:04:05.000 CET [77] app@db LOG: ":    {berlin},
		"[2006-01-02 15:04:05 -0700] [88] [INFO]":          {time.UTC, berlin, newYork},
		"10.0.0.1 - - [02/Jan/2006:15:04:05 -0700] ":       {time.UTC, berlin, newYork},
		"[02/Jan/2006 15:04:05] ":                          {time.UTC, berlin, newYork},
		"Jan _2 15:04:05 web-1 gunicorn[7]: ":              {time.UTC, berlin, newYork},
	} {
		for _, zone := range zones {
			path := filepath.Join(t.TempDir(), "app.log")
			stamp := func(d time.Duration) string { return ago(d).In(zone).Format(layout) }
			write(t, path, ago(time.Second),
				stamp(6*time.Minute)+" verified_with=previous from 10.0.0.6",
				stamp(4*time.Minute)+" verified_with=previous from 10.0.0.4",
				stamp(time.Second)+" the end")
			got, err := looker(t, atNow).Look(t.Context(), source(path), long)
			if err != nil || len(got.Users) != 1 || !strings.HasPrefix(got.Users[0], "10.0.0.4") || got.Since.Sub(ago(4*time.Minute)).Abs() > time.Second {
				t.Errorf("%s in %v: %+v, %v; want the use of 4 min ago", layout, zone, got, err)
			}
		}
	}
}

// TestVisitorsTimeIsNotTheLines: what stands far to the right is somebody's words.
func TestVisitorsTimeIsNotTheLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.log")
	write(t, path, ago(time.Second),
		iso(ago(time.Minute))+` verified_with=previous from 10.0.0.7 agent="2020-01-01 00:00:00"`,
		strings.Repeat("x", 200)+` 2020-01-01 00:00:00 verified_with=previous from 10.0.0.8`)
	got, err := looker(t, atNow).Look(t.Context(), source(path), long)
	if err != nil || len(got.Users) != 2 {
		t.Errorf("%+v, %v; want two users", got, err)
	}
}

func TestUnreadableIsNeverNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.log")
	timeless := filepath.Join(dir, "timeless.log")
	write(t, timeless, ago(time.Second), "verified_with=previous", "something")
	packed := filepath.Join(dir, "packed.log")
	write(t, packed, ago(time.Second), iso(ago(time.Second))+" x")
	write(t, packed+".1.xz", ago(time.Minute), "\xfd7zXZ\x00 and so on")
	broken := filepath.Join(dir, "broken.log")
	write(t, broken, ago(time.Second), iso(ago(time.Second))+" x")
	write(t, broken+".1.gz", ago(time.Minute), "\x1f\x8b\x08 this is no gzip")
	binary := filepath.Join(dir, "binary.log")
	write(t, binary, ago(time.Second), iso(ago(time.Second))+" x")
	write(t, binary+".1.gz", ago(time.Minute), "\x00\x01\x02")
	unnumbered := filepath.Join(dir, "unnumbered.log")
	write(t, unnumbered, ago(time.Second), iso(ago(time.Second))+" x")
	write(t, unnumbered+".1", ago(time.Minute), iso(ago(2*time.Minute))+" x", iso(ago(time.Minute))+" x")
	write(t, unnumbered+".3", ago(2*time.Minute), iso(ago(3*time.Minute))+" x")
	rotated := filepath.Join(dir, "rotated.log")
	write(t, rotated+".1", ago(time.Minute), iso(ago(time.Minute))+" x")
	pipe := filepath.Join(dir, "pipe.log")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	nothing := t.TempDir()
	fine := filepath.Join(dir, "fine.log")
	write(t, fine, ago(time.Second), iso(ago(time.Minute))+" verified_with=previous from 10.0.0.7")
	for path, want := range map[string]string{
		missing: "does not exist", timeless: "carry no time", pipe: "not a regular file",
		packed: "packed.log.1.xz: It is compressed with xz", broken: "broken.log.1.gz: The archive is damaged",
		binary: "binary.log.1.gz: It is not what its name says", unnumbered: "Between unnumbered.log.1 and unnumbered.log.3 a part is missing",
		rotated: "only what was rotated away of it", nothing: "no file is there", nothing + "/*.log": "no file is there",
	} {
		got, err := looker(t, atNow).Look(t.Context(), append(source(path), source(fine)...), long)
		if err == nil || !strings.Contains(err.Error(), want) || strings.HasSuffix(err.Error(), ".") {
			t.Errorf("%s: %v, want an error that says %q", path, err, want)
		}
		if len(got.Users) != 1 {
			t.Errorf("%s: what the other source told is gone: %+v", path, got)
		}
	}
	if _, err := looker(t, atNow).Look(t.Context(), source(missing), long); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is lost: %v", err)
	}
	for _, s := range []secret.UsageSource{{}, {Log: fine}, {Log: fine, Pattern: "("}} {
		if _, err := looker(t, atNow).Look(t.Context(), []secret.UsageSource{s}, long); err == nil {
			t.Errorf("%+v was looked at without complaint", s)
		}
	}
	both := append(source(missing), source(timeless)...)
	if _, err := looker(t, atNow).Look(t.Context(), both, long); err == nil || !strings.Contains(err.Error(), "missing.log") || !strings.Contains(err.Error(), "timeless.log") {
		t.Errorf("two that fail: %v, want both named", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := looker(t, atNow).Look(ctx, source(fine), long); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

func TestRotatedParts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.log")
	write(t, path, ago(time.Second), iso(ago(time.Minute))+" verified_with=previous from 10.0.0.1")
	write(t, path+".1", ago(2*time.Minute), iso(ago(3*time.Minute))+" verified_with=previous from 10.0.0.2", iso(ago(2*time.Minute))+" end")
	write(t, path+".2", ago(time.Hour), iso(ago(2*time.Hour))+" verified_with=previous from 10.0.0.9")
	write(t, path+".backup", ago(time.Second), "verified_with=previous from 10.0.0.9")
	f, err := os.Create(path + "-20261122.gz")
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	at := func(d time.Duration) string { return ago(d).Add(-5 * time.Hour).Format("2006-01-02 15:04:05") }
	fmt.Fprintf(z, "%s verified_with=previous from 10.0.0.9\n%s verified_with=previous from 10.0.0.3\n%s end\n", at(8*time.Minute), at(4*time.Minute), at(3*time.Minute))
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	touch(t, path+"-20261122.gz", ago(3*time.Minute))
	got, err := looker(t, atNow).Look(t.Context(), source(path), long)
	var who []string
	for _, u := range got.Users {
		who = append(who, strings.Fields(u)[0])
	}
	slices.Sort(who)
	if diff := cmp.Diff([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, who); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestOnlyTheEndOfALargeLogIsRead also crosses every edge of the search for it.
func TestOnlyTheEndOfALargeLogIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.log")
	var lines []string
	want := int64(0)
	for at := ago(6 * time.Hour); at.Before(now); at = at.Add(time.Second / 2) {
		line := iso(at) + " verified_with=current " + strings.Repeat("é", len(lines)%90)
		if len(lines)%977 == 0 {
			line = iso(at) + " verified_with=previous from 10.0.0.7"
			if !at.Before(ago(5 * time.Minute)) {
				want++
			}
		}
		lines = append(lines, line)
		if len(lines)%5000 == 0 {
			lines = append(lines, strings.Repeat("a long line ", 12_000), "verified_with=previous in a traceback of long ago")
		}
	}
	lines = lines[:len(lines)-1]
	write(t, path, ago(time.Second/2), lines...)
	got, err := looker(t, atNow).Look(t.Context(), source(path), long)
	if err != nil || len(got.Users) != 1 || !strings.HasPrefix(got.Users[0], "10.0.0.7 (") || got.PerMinute != float64(want)/5 {
		t.Errorf("%+v, %v; want %d uses", got, err, want)
	}
}

func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.log")
	var lines []string
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf("%s verified_with=previous from visitor-%d", iso(ago(time.Minute)), i))
	}
	write(t, path, ago(time.Minute), lines...)
	got, err := looker(t, atNow).Look(t.Context(), source(path), long)
	if err != nil || len(got.Users) != 21 || !strings.HasPrefix(got.Users[0], "others (") || got.Users[20] != "1005 more" || got.PerMinute != 600 {
		t.Errorf("%d users, %v a minute, first %.60q, last %q, %v", len(got.Users), got.PerMinute, got.Users[0], got.Users[len(got.Users)-1], err)
	}
}

// TestNoUseIsLostAtTheEdge: wherever the search for the beginning lands, every use of
// the quiet span counts, and none above it asks for a time.
func TestNoUseIsLostAtTheEdge(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.log")
	for pad := 120; pad < 300; pad += 7 {
		var lines []string
		for back := 600; back > 0; back-- {
			line := iso(ago(time.Duration(back)*time.Second)) + " verified_with=previous from 10.0.0.7 " + strings.Repeat("x", pad)
			lines = append(lines, line)
			if back > 310 {
				lines = append(lines, "verified_with=previous in a traceback", "verified_with=previous in a traceback")
			}
		}
		write(t, path, ago(time.Second), lines...)
		got, err := looker(t, atNow).Look(t.Context(), source(path), long)
		if err != nil || got.PerMinute != 60 {
			t.Fatalf("lines of %d bytes: %v uses a minute, %v; want 60", len(lines[len(lines)-1]), got.PerMinute, err)
		}
	}
}
