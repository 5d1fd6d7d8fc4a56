// The race detector multiplies memory, so this is not for it.
//go:build linux && !race

package logs

import (
	stdgzip "compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"rekey/audit"
)

// inChild names the log that a child of the test reads.
const inChild = "REKEY_TEST_READ_LOG"

// TestResidentMemory reads gigabytes in a process of its own, which tells afterwards how
// much memory it ever held: below 32 MiB, whatever the size, unless every line is evidence or
// an archive asks for more.
func TestResidentMemory(t *testing.T) {
	t.Parallel()
	if path := os.Getenv(inChild); path != "" {
		readInChild(t, path)
		return
	}
	archives := func(window, refused int, extensions ...string) func(dir string) {
		return func(dir string) {
			put(t, filepath.Join(dir, "access.log"), refusals(48, 1))
			for n, ext := range extensions {
				f, err := os.Create(filepath.Join(dir, fmt.Sprintf("access.log.%d%s", len(extensions)-n, ext)))
				if err != nil {
					t.Fatal(err)
				}
				var z io.WriteCloser = stdgzip.NewWriter(f)
				if ext == ".zst" {
					if z, err = zstd.NewWriter(f, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1)); err != nil {
						t.Fatal(err)
					}
				}
				traffic(t, z, 10*n, 40<<20, refused)
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// The size is not all that counts: where every line is evidence, there are a thousand
	// times as many records on their way.
	const usual, dense = 32, 40
	for _, test := range []struct {
		name  string
		most  int // MiB
		write func(dir string)
	}{
		// Holes cost no disk, and are read like anything else.
		{"a file of 2 GB, most of it one line", usual, func(dir string) {
			path := filepath.Join(dir, "access.log")
			put(t, path, refusals(0, 60))
			if err := os.Truncate(path, 2<<30); err != nil {
				t.Fatal(err)
			}
		}},
		{"a file of 80 MB", usual, func(dir string) {
			f, err := os.Create(filepath.Join(dir, "access.log"))
			if err != nil {
				t.Fatal(err)
			}
			traffic(t, f, 0, 80<<20, 100)
		}},
		{"a file of 80 MB, every line a refusal", dense, func(dir string) {
			f, err := os.Create(filepath.Join(dir, "access.log"))
			if err != nil {
				t.Fatal(err)
			}
			traffic(t, f, 0, 80<<20, 1)
		}},
		{"archives of 40 MB each, packed as gzip and zstd do by default", usual, archives(2<<20, 100, ".gz", ".zst")},
		{"archives of 40 MB each, every line a refusal", 2 * usual, archives(2<<20, 1, ".gz", ".gz", ".gz")},
		// One window of 8 MB, and its share in what the collector leaves lying about.
		{"archives of 40 MB each, packed as zstd -19 does", 40, archives(8<<20, 100, ".zst", ".zst", ".zst")},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			test.write(dir)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestResidentMemory$", "-test.v") //nolint:gosec // this very binary
			cmd.Env = append(os.Environ(), inChild+"="+filepath.Join(dir, "access.log"))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			kilobytes, err := strconv.Atoi(peak(string(out)))
			if err != nil {
				t.Fatalf("the child said %s", out)
			}
			t.Logf("%.1f MiB", float64(kilobytes)/1024)
			if kilobytes > test.most<<10 {
				t.Errorf("%d KiB were resident, want at most %d MiB", kilobytes, test.most)
			}
		})
	}
}

func peak(status string) string {
	_, rest, _ := strings.Cut(status, "VmHWM:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	return number
}

// readInChild reads a log as an audit does, and prints what it held.
func readInChild(t *testing.T, path string) {
	began := time.Now()
	s, err := OpenSet(t.Context(), SetConfig{Path: path, Format: Access})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	events := 0
	merger := NewMerger(func(*Event) { events++ })
	stats, errs := Join(t.Context(), []Source{s}, Query{Endpoints: revalidate}, merger.Add)
	merger.Close()
	if errs[0] != nil || events == 0 || len(stats[0].Gaps) > 0 {
		t.Fatalf("%d events, error %v, gaps %+v", events, errs[0], stats[0].Gaps)
	}
	if _, _, err := s.Last(t.Context(), Query{}, 100, audit.Denied); err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%d events in %v\nVmHWM: %s kB\n", events, time.Since(began), peak(string(status)))
}
