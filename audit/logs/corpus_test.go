package logs

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// TestCorpus reads files of real layouts, with decoys between them, and compares
// every record with testdata/*.want.
//
// Guide: queries/invalid-signature, queries/denied
func TestCorpus(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Access, Django, Security} {
		path := filepath.Join("testdata", string(format)+".log")
		want, err := os.ReadFile(strings.TrimSuffix(path, ".log") + ".want")
		if err != nil {
			t.Fatal(err)
		}
		l, err := Open(path, format)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		records, _, err := scanAll(l, Query{Endpoints: revalidate})
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, r := range records {
			addr := "-"
			if r.Addr.IsValid() {
				addr = r.Addr.String()
			}
			fmt.Fprintf(&got, "%s %s %s %s %s %d guarded=%d agent=%q\n", r.Kind, r.At.Format(time.TimeOnly), addr,
				cmp.Or(r.Method, "-"), cmp.Or(r.Path, "-"), r.Status, r.Guarded, r.Agent)
		}
		if diff := gocmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	madrid := time.FixedZone("CET", 3600)
	tests := []struct {
		name, line string
		want       string // in UTC; "" for none
	}{
		{"access", `- [22/Nov/2026:19:35:18 +0100]`, "2026-11-22T18:35:18Z"},
		{"django.server, in the given zone", `[22/Nov/2026 19:35:18] x`, "2026-11-22T18:35:18Z"},
		{"asctime", `WARNING 2026-11-22 19:35:18,123 x`, "2026-11-22T18:35:18.123Z"},
		{"ISO with Z", `2026-11-22T19:35:18.5Z x`, "2026-11-22T19:35:18.5Z"},
		{"ISO with an offset", `2026-11-22T19:35:18-05:30`, "2026-11-23T01:05:18Z"},
		{"an offset after a space", `2026-11-22 19:35:18 +0000 x`, "2026-11-22T19:35:18Z"},
		{"a minus sign that is no offset", `2026-11-22 19:35:18 - django`, "2026-11-22T18:35:18Z"},
		{"a process id that looks like an offset", `2026-11-22 19:35:18 -12345 x`, "2026-11-22T18:35:18Z"},
		{"leap second", `2026-12-31 23:59:60 x`, "2026-12-31T23:00:00Z"},
		{"no such day", `2026-02-30 19:35:18 x`, ""},
		{"no such hour", `2026-02-20 25:35:18 x`, ""},
		{"in quotes", `GET "2026-11-22 19:35:18"`, ""},
		{"inside a number", `12026-11-22 19:35:18`, ""},
		{"too far in", strings.Repeat("x", 160) + ` 2026-11-22 19:35:18`, ""},
		{"the first wins", `2026-11-22 19:35:18Z /2025-01-01 00:00:00`, "2026-11-22T19:35:18Z"},
		{"empty", ``, ""},
	}
	for _, tt := range tests {
		at, ok := stamp([]byte(tt.line), clock{zone: madrid})
		got := ""
		if ok {
			got = at.Format(time.RFC3339Nano)
		}
		if got != tt.want {
			t.Errorf("%s: %q is %q, want %q", tt.name, tt.line, got, tt.want)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/api/revalidate/":             "/api/revalidate/",
		"/api//%72evalidate?x=/y":      "/api/revalidate",
		"/a/../api/./revalidate/":      "/api/revalidate/",
		"http://h/api/revalidate/#top": "/api/revalidate/",
		"http://h":                     "/",
		"/%":                           "/%",
		"/%zz%4":                       "/%zz%4",
		"/../..":                       "/",
		"*":                            "*",
		"":                             "",
		"/a/.well-known/x":             "/a/.well-known/x",
	} {
		if got := canonical(in); got != want {
			t.Errorf("canonical(%q) = %q, want %q", in, got, want)
		}
	}
}
