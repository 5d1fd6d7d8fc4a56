// Package logstest makes large log files, the same bytes every time, and runs what a
// person would type instead of rekey on them. It exists for benchmarks: a figure for a
// reader of logs means something only beside grep's on the same file in the same run.
package logstest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Kind is which log is made.
type Kind string

// The kinds.
const (
	// Access is a combined access log: one line in 200 refused (401 or 403), one an
	// accepted request to Guarded, and decoys in paths, sizes and agents, as many as are
	// met: of the lines that hold 401 or 403 at all, one in thirty was refused, and of
	// those that hold it behind a quote, one in five.
	Access Kind = "access"
	// Busy is an access log whose every fifth line is an accepted request to Guarded.
	Busy Kind = "busy"
	// Security is an application's log: one line in 100 an "Invalid signature", the
	// others with a valid one.
	Security Kind = "security"
)

// Guarded is the path of the refused and of the accepted requests.
const Guarded = "/api/revalidate/"

// The week the files tell of.
var (
	Until = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	Since = Until.Add(-7 * 24 * time.Hour)
)

// Write writes size bytes of a log of kind, up to the end of a line.
func Write(w io.Writer, kind Kind, size int64) error {
	out := bufio.NewWriterSize(w, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	g := generator{random: random, kind: kind, layout: "02/Jan/2006:15:04:05 -0700"}
	if kind == Security {
		g.layout = "2006-01-02 15:04:05"
	}
	for written := int64(0); written < size; {
		g.at(Since.Add(time.Duration(float64(Until.Sub(Since)) * (float64(written) / float64(size)))))
		line := g.line()
		written += int64(len(line))
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("writing a log: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing a log: %w", err)
	}
	return nil
}

// File writes a log of size bytes into a folder of the benchmark's own, below the folder
// REKEY_BENCH_DIR where that is set: full sizes need more room than /tmp may have.
func File(tb testing.TB, kind Kind, size int64) string {
	tb.Helper()
	dir, err := os.MkdirTemp(os.Getenv("REKEY_BENCH_DIR"), "rekey-bench-") //nolint:usetesting // tb.TempDir lies in TMPDIR only
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	f, err := os.Create(filepath.Join(dir, string(kind)+".log"))
	if err != nil {
		tb.Fatal(err)
	}
	if err := Write(f, kind, size); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
	return f.Name()
}

// Size is how large a file is to be: full bytes, or REKEY_BENCH_MB megabytes where that
// is set. A benchmark of 4 GB is worth its minutes now and then only.
func Size(tb testing.TB, full int64) int64 {
	tb.Helper()
	switch text := os.Getenv("REKEY_BENCH_MB"); text {
	case "":
		return min(full, 256<<20)
	case "full":
		return full
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			tb.Fatalf("REKEY_BENCH_MB must be a number of megabytes or \"full\", not %q", text)
		}
		return min(full, n<<20)
	}
}

type generator struct {
	random *rand.Rand
	kind   Kind
	layout string
	buf    []byte
	second int64
	stamp  []byte
	millis int
}

// at sets the time of the next line.
func (g *generator) at(t time.Time) {
	g.millis = t.Nanosecond() / int(time.Millisecond)
	if t.Unix() != g.second {
		g.second = t.Unix()
		g.stamp = t.AppendFormat(g.stamp[:0], g.layout)
	}
}

func (g *generator) line() []byte {
	g.buf = g.buf[:0]
	hit := g.random.IntN(200)
	if g.kind == Security {
		return g.security(hit)
	}
	return g.access(hit)
}

func (g *generator) security(hit int) []byte {
	if hit < 2 {
		g.text("WARNING ")
		g.buf = append(g.buf, g.stamp...)
		g.text(",").number(g.millis, 3).text(" views_seo Invalid signature from ").address()
		g.text(" on POST " + Guarded + "\n")
		return g.buf
	}
	g.text("INFO ")
	g.buf = append(g.buf, g.stamp...)
	g.text(",").number(g.millis, 3).text(" views_seo revalidated 3 slugs for request ").number(g.random.IntN(1<<31), 0)
	g.text(" from ").address()
	g.text(" in ").number(g.random.IntN(500), 0).text(" ms with a valid signature\n")
	return g.buf
}

func (g *generator) access(hit int) []byte {
	status, decoy := 200, ""
	method, path, article := "GET", Guarded, false
	switch {
	case hit == 0:
		method, status = "POST", 401+2*g.random.IntN(2)
		if g.random.IntN(2) == 0 {
			decoy = ` \" 200 `
		}
	case hit == 1:
		path = "/api/401/"
	case hit == 2 || hit >= 70 && hit < 73:
		article, decoy = true, ` \" 403 `
	case hit >= 100 && hit < 121:
		path = "/articles/40312/" // what everybody reads
	case hit == 3 || hit < 43 && g.kind == Busy:
		method = "POST"
	case hit < 60:
		article, status = true, 304
	case hit < 64:
		article, status = true, 404
	default:
		article = true
	}
	if method == "POST" {
		g.text("203.0.113.").number(g.random.IntN(250), 0) // a few services, a few attackers
	} else {
		g.address()
	}
	g.text(" - - [")
	g.buf = append(g.buf, g.stamp...)
	g.text(`] "`).text(method).text(" ")
	if article {
		g.text("/articles/").number(g.random.IntN(50000), 0).text("/")
	} else {
		g.text(path)
	}
	g.text(` HTTP/1.1" `).number(status, 0).text(" ").number(g.random.IntN(90000), 0)
	g.text(` "https://example.com/" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36`).text(decoy).text(" Safari/")
	g.number(500+g.random.IntN(40), 0).text(".36\"\n")
	return g.buf
}

func (g *generator) text(s string) *generator {
	g.buf = append(g.buf, s...)
	return g
}

// number appends n with at least width digits.
func (g *generator) number(n, width int) *generator {
	for limit := 10; width > 1; width, limit = width-1, limit*10 {
		if n < limit {
			g.buf = append(g.buf, '0')
		}
	}
	g.buf = strconv.AppendInt(g.buf, int64(n), 10)
	return g
}

func (g *generator) address() {
	g.text("198.51.").number(g.random.IntN(100), 0).text(".").number(g.random.IntN(250), 0)
}
