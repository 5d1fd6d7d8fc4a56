// Package sourcetest is what the tests of all sources that are no files ask alike: that a
// source leaves out nothing which the parsers here would call evidence, and that it hands
// back the error of whoever takes its records. What a source's server or program does
// otherwise than others is for its own tests.
package sourcetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rekey/audit"
	"rekey/audit/logs"
)

// Denied is a line of evidence of 19:35:18 UTC on the day of Noon; %d is the agent.
const Denied = `203.0.113.66 - - [22/Nov/2026:19:35:18 +0000] "POST /api/revalidate/ HTTP/1.1" 401 29 "-" "%d"`

// Accepted is a request that was let in, as a proxy logs it in JSON.
func Accepted(at time.Time, path string) string {
	return fmt.Sprintf(`{"ts":%d,"request":{"remote_ip":"192.0.2.5","method":"POST","uri":%q},"status":200}`, at.Unix(), path)
}

// Noon is when the window of Query begins. The corpus is of 35 minutes later.
func Noon() time.Time { return time.Date(2026, 11, 22, 19, 0, 0, 0, time.UTC) }

// Query is about an hour and the endpoints of the corpus.
func Query() logs.Query {
	return logs.Query{
		Window:    audit.Window{Since: Noon(), Until: Noon().Add(time.Hour)},
		Endpoints: []logs.Endpoint{{Path: "/api/revalidate/", Method: "POST"}, {Path: "/api/track-view/"}},
	}
}

// Scan answers all records of a source.
func Scan(t *testing.T, s logs.Source, q logs.Query) ([]logs.Record, logs.Stats, error) {
	t.Helper()
	var list []logs.Record
	stats, err := s.Scan(t.Context(), q, func(r logs.Record) error { list = append(list, r); return nil })
	return list, stats, err
}

// Corpus are the lines of the parsers' own corpus, for a package beside this one.
func Corpus(t testing.TB, format logs.Format) [][]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", string(format)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
}

// Text are lines as a server holds them that takes UTF-8 and nothing else.
func Text(lines [][]byte) [][]byte {
	out := make([][]byte, len(lines))
	for n, line := range lines {
		out[n] = bytes.ToValidUTF8(line, []byte("\ufffd"))
	}
	return out
}

// Judged is what the parser makes of the lines for Query, each received at a time.
func Judged(t *testing.T, format logs.Format, lines [][]byte, at func(n int) time.Time) []logs.Record {
	t.Helper()
	p, err := logs.NewParser(format, Query())
	if err != nil {
		t.Fatal(err)
	}
	var want []logs.Record
	for n, line := range lines {
		if r, ok := p.Parse(line, at(n)); ok {
			want = append(want, r)
		}
	}
	return want
}

// Same holds the records of a source against those wanted, and wants each to carry its line
// and a name that begins as given.
func Same(t *testing.T, want, got []logs.Record, name string) {
	t.Helper()
	alike := gocmp.Options{gocmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.IgnoreFields(logs.Record{}, "Offset", "Line", "Name")}
	if diff := gocmp.Diff(want, got, alike); diff != "" || len(want) == 0 {
		t.Errorf("%d records (-want +got):\n%s", len(want), diff)
	}
	for _, r := range got {
		if !strings.HasPrefix(r.Name, name) || r.Line == "" {
			t.Errorf("a record is called %q and says %q", r.Name, r.Line)
		}
	}
}

// Newest holds the newest records that a source fetches without reading all against the end
// of a whole reading. The source must have more of some kind than are asked for.
func Newest(t *testing.T, s interface {
	logs.Source
	Last(ctx context.Context, q logs.Query, n int, kinds ...audit.Kind) ([]logs.Record, logs.Stats, error)
},
) {
	t.Helper()
	const n = 2
	all, _, err := Scan(t, s, Query())
	if err != nil {
		t.Fatal(err)
	}
	kinds := []audit.Kind{audit.Denied, audit.Used, audit.InvalidSignature}
	left := map[audit.Kind]int{}
	for _, kind := range kinds {
		left[kind] = n
	}
	var want []logs.Record
	for _, r := range slices.Backward(all) {
		if left[r.Kind]--; left[r.Kind] >= 0 {
			want = append(want, r)
		}
	}
	slices.Reverse(want)
	got, _, err := s.Last(t.Context(), Query(), n, kinds...)
	if err != nil || len(want) == len(all) {
		t.Fatalf("%d of %d records wanted, error %v", len(want), len(all), err)
	}
	Same(t, want, got, "")
	if !slices.IsSortedFunc(got, func(a, b logs.Record) int { return cmp.Compare(a.Offset, b.Offset) }) {
		t.Error("their offsets do not ascend")
	}
}

// HandsBack wants the error of whoever takes the records, the very error. The source must
// have evidence.
func HandsBack(t *testing.T, s logs.Source) {
	t.Helper()
	stop := errors.New("stop")
	if _, err := s.Scan(t.Context(), Query(), func(logs.Record) error { return stop }); err != stop { //nolint:errorlint // the very error
		t.Errorf("%v, want the taker's own error", err)
	}
}
