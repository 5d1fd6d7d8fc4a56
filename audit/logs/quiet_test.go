package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/logs/logstest"
)

// BenchmarkQuietLook is what a watch does each minute with a log that nobody writes to:
// 1 GB of it, of which nothing is in the window. cpu-µs is the processors' time of one
// look.
func BenchmarkQuietLook(b *testing.B) {
	path := filepath.Join(b.TempDir(), "access.log")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	traffic(b, f, 0, 1<<30, 100)
	for n := range 3 { // and what was rotated away of it
		older := filepath.Join(filepath.Dir(path), "access.log."+string(rune('1'+n))+".gz")
		put(b, older, packed(b, older, refusals(-24*(8+n), 60)))
		at := midnight.Add(-time.Duration(24*(8+n)) * time.Hour)
		if err := os.Chtimes(older, at, at); err != nil {
			b.Fatal(err)
		}
	}
	q := Query{Endpoints: revalidate, Window: audit.Window{Since: midnight.Add(90 * 24 * time.Hour), Until: midnight.Add(90*24*time.Hour + time.Minute)}}
	used := logstest.CPUTime(b)
	for b.Loop() {
		sets, _, err := OpenAll(context.Background(), SetConfig{Path: path, Format: Access, Query: q})
		if err != nil {
			b.Fatal(err)
		}
		stats, errs := Join(context.Background(), []Source{sets[0]}, q, func(int, Record) { b.Fatal("something is in the window") })
		if errs[0] != nil || stats[0].Read > 1<<20 || sets[0].Parts() != 1 {
			b.Fatalf("%d bytes of %d files were read, %v", stats[0].Read, sets[0].Parts(), errs[0])
		}
		_ = sets[0].Close()
	}
	b.ReportMetric(float64((logstest.CPUTime(b)-used).Microseconds())/float64(b.N), "cpu-µs")
}

// traffic writes an access log from an hour of midnight on, a thousand requests a
// second, one in every so many refused.
func traffic(t failer, w io.WriteCloser, hour, size, refused int) {
	t.Helper()
	var second bytes.Buffer
	for n := range 1000 {
		status := 200
		if n%refused == 0 {
			status = 403
		}
		fmt.Fprintf(&second, "203.0.113.%d - - [22/Nov/2026:hh:mm:ss +0000] \"GET /%d HTTP/1.1\" %d 1 \"-\" \"curl/8.5\"\n", n%250, n, status)
	}
	at, written := midnight.Add(time.Duration(hour)*time.Hour), 0
	for written < size {
		n, err := w.Write(bytes.ReplaceAll(second.Bytes(), []byte("hh:mm:ss"), []byte(at.Format(time.TimeOnly))))
		if err != nil {
			t.Fatal(err)
		}
		written += n
		at = at.Add(time.Second)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
