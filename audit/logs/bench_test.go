package logs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"rekey/audit"
)

// benchMB is the size of the generated logs: REKEY_BENCH_MB, else 256.
func benchMB(b *testing.B) int {
	b.Helper()
	text := os.Getenv("REKEY_BENCH_MB")
	if text == "" {
		return 256
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("REKEY_BENCH_MB must be a number of megabytes, not %q", text)
	}
	return n
}

// generate writes a log of a week: the same bytes for the same size, one line in a
// hundred a signature failure, or one in two hundred refused among decoys.
func generate(b *testing.B, format Format) *File {
	b.Helper()
	size := benchMB(b) << 20
	path := filepath.Join(b.TempDir(), string(format)+".log")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	lineSize := 110
	if format == Access {
		lineSize = 180
	}
	step := 7 * 24 * time.Hour / time.Duration(size/lineSize)
	at := midnight.Add(-7 * 24 * time.Hour)
	for written := 0; written < size; at = at.Add(step) {
		var n int
		ip := fmt.Sprintf("198.51.%d.%d", random.IntN(100), random.IntN(250))
		switch hit := random.IntN(200); {
		case format == Security && hit < 2:
			n, _ = fmt.Fprintf(w, "WARNING %s views_seo Invalid signature from %s on POST /api/revalidate/\n", at.Format("2006-01-02 15:04:05,000"), ip)
		case format == Security:
			n, _ = fmt.Fprintf(w, "INFO %s views_seo revalidated 3 slugs for request %d from %s in %d ms with a valid signature\n", at.Format("2006-01-02 15:04:05,000"), random.Uint32(), ip, random.IntN(500))
		default:
			status, path, extra := 200, fmt.Sprintf("/articles/%d/", random.IntN(50000)), ""
			switch hit {
			case 0:
				status, path = 401, "/api/revalidate/"
			case 1:
				path = "/api/401/"
			case 2:
				extra = ` \" 403 `
			case 3:
				path = "/api/revalidate/"
			}
			n, _ = fmt.Fprintf(w, "%s - - [%s] \"GET %s HTTP/1.1\" %d %d \"https://example.com/\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36%s Safari/537.36\"\n",
				ip, at.Format("02/Jan/2006:15:04:05 -0700"), path, status, random.IntN(90000), extra)
		}
		written += n
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	l, err := Open(path, format)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	return l
}

// cost is what something took: on the clock, and of the processors' time, which
// lasts when other work shares the machine.
type cost struct{ wall, cpu time.Duration }

// peer runs a shell pipeline on the file three times and answers its best times. Its
// output is read to the end: a grep that writes to /dev/null stops at the first hit.
func peer(b *testing.B, pipeline string, l *File) cost {
	b.Helper()
	best := cost{wall: 1<<63 - 1, cpu: 1<<63 - 1}
	for range 3 {
		begun := time.Now()
		cmd := exec.Command("sh", "-c", pipeline, "sh", l.Path())
		out, err := cmd.Output()
		if err != nil || len(bytes.TrimSpace(out)) == 0 {
			b.Fatalf("%s: error %v, %d bytes of output", pipeline, err, len(out))
		}
		best.wall = min(best.wall, time.Since(begun))
		best.cpu = min(best.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	}
	return best
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// compareWith reports how many times more each peer takes than one operation, on
// the clock (x-grep) and of the processors (cpu-x-grep).
func compareWith(b *testing.B, l *File, peers map[string]string, op func()) {
	b.Helper()
	op() // warm
	b.ResetTimer()
	used := cpuTime(b)
	best := time.Duration(1<<63 - 1)
	for b.Loop() {
		begun := time.Now()
		op()
		best = min(best, time.Since(begun))
	}
	b.StopTimer()
	ours := cost{wall: best, cpu: (cpuTime(b) - used) / time.Duration(b.N)}
	b.ReportMetric(float64(l.Size())/1e9/ours.wall.Seconds(), "GB/s")
	for name, pipeline := range peers {
		p := peer(b, pipeline, l)
		b.ReportMetric(p.wall.Seconds()/ours.wall.Seconds(), "x-"+name)
		b.ReportMetric(p.cpu.Seconds()/ours.cpu.Seconds(), "cpu-x-"+name)
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	b.ReportMetric(float64(mem.HeapSys+mem.StackSys)/(1<<20), "MiB-held")
}

// withRipgrep adds ripgrep where it is installed. Mapped files would be slower.
func withRipgrep(peers map[string]string, pattern, rest string) map[string]string {
	if _, err := exec.LookPath("rg"); err == nil {
		peers["rg"] = "rg --no-mmap -N -e '" + pattern + "' \"$1\" | " + rest
	}
	return peers
}

// BenchmarkLast100Signatures is the runbook's first question.
func BenchmarkLast100Signatures(b *testing.B) {
	l := generate(b, Security)
	peers := withRipgrep(map[string]string{"grep": `LC_ALL=C grep "Invalid signature" "$1" | tail -100`}, "Invalid signature", "tail -100")
	compareWith(b, l, peers, func() {
		got, _, err := l.Last(context.Background(), Query{}, 100, audit.InvalidSignature)
		if err != nil || len(got) != 100 {
			b.Fatalf("%d records, error %v", len(got), err)
		}
	})
}

// BenchmarkLast100Denied is the runbook's second question. grep's answer to it is
// wrong: it matches paths, sizes and agents.
func BenchmarkLast100Denied(b *testing.B) {
	l := generate(b, Access)
	compareWith(b, l, map[string]string{"grep": `LC_ALL=C grep "403\|401" "$1" | tail -100`}, func() {
		got, _, err := l.Last(context.Background(), Query{}, 100, audit.Denied)
		if err != nil || len(got) != 100 {
			b.Fatalf("%d records, error %v", len(got), err)
		}
	})
}

// BenchmarkWholeSecurity counts every signature failure of the week.
func BenchmarkWholeSecurity(b *testing.B) {
	l := generate(b, Security)
	peers := withRipgrep(map[string]string{"grep": `LC_ALL=C grep "Invalid signature" "$1" | tail -100`}, "Invalid signature", "tail -100")
	compareWith(b, l, peers, func() { scanOrFail(b, l, Query{}) })
}

// BenchmarkWholeAccess finds every refusal and every use of the week.
func BenchmarkWholeAccess(b *testing.B) {
	l := generate(b, Access)
	peers := withRipgrep(map[string]string{"grep": `LC_ALL=C grep "403\|401" "$1" | tail -100`}, `^[^"]*"([^"\\]|\\.)*" (401|403) `, "tail -100")
	compareWith(b, l, peers, func() { scanOrFail(b, l, Query{Endpoints: revalidate}) })
}

// BenchmarkOneDay finds the same in the last of the seven days.
func BenchmarkOneDay(b *testing.B) {
	l := generate(b, Access)
	compareWith(b, l, map[string]string{"grep": `LC_ALL=C grep "403\|401" "$1" | tail -100`}, func() {
		scanOrFail(b, l, Query{Endpoints: revalidate, Window: audit.Window{Since: midnight.Add(-24 * time.Hour)}})
	})
}

// BenchmarkAbsent looks for what is not there, where grep is at its best.
func BenchmarkAbsent(b *testing.B) {
	l := generate(b, Access)
	security, err := Open(l.Path(), Security)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = security.Close() })
	compareWith(b, l, map[string]string{"grep": `LC_ALL=C grep "Invalid signature" "$1" | tail -100; echo done`}, func() {
		n := 0
		_, err := security.Scan(context.Background(), Query{}, func(Record) error { n++; return nil })
		if err != nil || n != 0 {
			b.Fatalf("%d records, error %v", n, err)
		}
	})
}

func scanOrFail(b *testing.B, l *File, q Query) {
	b.Helper()
	n := 0
	if _, err := l.Scan(context.Background(), q, func(Record) error { n++; return nil }); err != nil || n == 0 {
		b.Fatalf("%d records, error %v", n, err)
	}
}
