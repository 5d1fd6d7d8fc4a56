package logs

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzSplitLine holds the vector path of access logs against the plain one, at any
// alignment and however near the end of the data.
func FuzzSplitLine(f *testing.F) {
	for _, line := range seeds(f, Access) {
		f.Add(line, uint8(0))
		f.Add(append(bytes.Clone(line), "\nnext \"line\""...), uint8(3))
	}
	f.Add([]byte(`a \"b" "\\" 401 "c`+"\r\n"), uint8(40))
	f.Fuzz(func(t *testing.T, data []byte, room uint8) {
		a := accessLines{guard: newGuards(revalidate), zone: time.UTC}
		limit := 64 + int(room)
		data = append(data, bytes.Repeat([]byte{'"'}, int(room))...) // what lies behind the line must not matter
		for from := range min(len(data), 40) {
			line, at, next, ok := a.first(data[from:], limit)
			rest, _, more := bytes.Cut(data[from:], newline)
			want := trimLine(rest, limit)
			wantAt, wantOK := a.locate(want)
			wantNext := len(rest)
			if more {
				wantNext++
			}
			if !bytes.Equal(line, want) || ok != wantOK || next != wantNext {
				t.Fatalf("%q: line %q next %d %t, want %q next %d %t", data[from:], line, next, ok, want, wantNext, wantOK)
			}
			if ok && at != wantAt {
				t.Fatalf("%q: request at %v, want %v", line, at, wantAt)
			}
			if ok {
				got, _ := a.record(line, at)
				plain, _ := parseAccess(want, a.guard, time.UTC)
				if diff := cmp.Diff(plain, got, compare); diff != "" {
					t.Fatal(diff)
				}
			}
		}
	})
}
