package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"rekey/audit"
)

// denials is an access log of n refusals, a second apart.
func denials(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "203.0.113.66 - - [%s] \"GET /x HTTP/1.1\" 403 1 \"-\" \"-\"\n", midnight.Add(time.Duration(i)*time.Second).Format("02/Jan/2006:15:04:05 -0700"))
	}
	return b.Bytes()
}

// A log that is cut short while it is read gives what is left, and says so.
func TestTruncatedWhileRead(t *testing.T) {
	t.Parallel()
	data := denials(1000)
	l := openData(t, t.TempDir(), data, Access, &sizes{block: 1000, line: 500, tail: 100, budget: 1 << 20, whole: 1 << 40})
	defer func() { _ = l.Close() }()
	seen := 0
	stats, err := l.Scan(t.Context(), Query{Workers: 1}, func(Record) error {
		if seen++; seen == 1 {
			return os.Truncate(l.Path(), int64(len(data)/2))
		}
		return nil
	})
	if err != nil || !stats.Truncated || seen < 100 || seen >= 1000 {
		t.Errorf("%d records, truncated %t, error %v; want about half of 1,000, true, none", seen, stats.Truncated, err)
	}
	if _, stats, err = l.Last(t.Context(), Query{}, 10, audit.Denied); err != nil || !stats.Truncated {
		t.Errorf("backwards: truncated %t, error %v", stats.Truncated, err)
	}
	if _, err := l.Line(int64(len(data) - 10)); err != nil {
		t.Errorf("a line that is gone is an error: %v", err)
	}
}

// A line of many megabytes costs no more memory than any other and hides nothing
// that follows it.
func TestEndlessLine(t *testing.T) {
	t.Parallel()
	data := append(bytes.Repeat([]byte("x"), 8<<20), '\n')
	data = append(append([]byte{}, denials(3)...), append(data, denials(3)...)...)
	l := openData(t, t.TempDir(), data, Access, nil)
	defer func() { _ = l.Close() }()
	got, stats, err := scanAll(l, Query{})
	if err != nil || len(got) != 6 || stats.Lines != 7 {
		t.Errorf("%d records on %d lines, error %v; want 6 on 7", len(got), stats.Lines, err)
	}
}

func TestScanStops(t *testing.T) {
	t.Parallel()
	l := openData(t, t.TempDir(), denials(5000), Access, &sizes{block: 1000, line: 500, tail: 100, budget: 1 << 20, whole: 1 << 40})
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	_, err := l.Scan(ctx, Query{}, func(Record) error {
		if seen++; seen == 10 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || seen == 5000 {
		t.Errorf("%d records, error %v; want fewer than all and a cancellation", seen, err)
	}
	enough := errors.New("enough")
	if _, err := l.Scan(t.Context(), Query{}, func(Record) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error %v, want the consumer's own", err)
	}
}

// Line numbers are those an editor shows.
func TestLineNumbers(t *testing.T) {
	t.Parallel()
	data := denials(50)
	l := openData(t, t.TempDir(), data, Access, &sizes{block: 64, line: 500, tail: 100, budget: 1 << 20, whole: 1 << 40})
	defer func() { _ = l.Close() }()
	got, _, err := scanAll(l, Query{})
	if err != nil {
		t.Fatal(err)
	}
	var offsets []int64
	for _, r := range got {
		offsets = append(offsets, r.Offset)
	}
	numbers, err := l.LineNumbers(offsets)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range numbers {
		if n != int64(i+1) {
			t.Fatalf("line %d is numbered %d", i+1, n)
		}
	}
}
