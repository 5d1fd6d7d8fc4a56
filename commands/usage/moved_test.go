package usage

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A log that is truncated while it is read is read again; one that is truncated each time
// proves nothing.
func TestTruncatedUnderTheReading(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.log")
	from := time.Now().Add(-time.Hour)
	stamp := time.Now().UTC().Format("2006-01-02 15:04:05 UTC")
	write := func(uses int) {
		text := strings.Repeat(stamp+" verified_with=previous\n", uses)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	for _, test := range []struct{ times, want int }{{0, 9}, {1, 8}, {attempts - 1, 7}, {attempts, 0}} {
		uses, truncated := 9, 0
		write(uses)
		left := 0 // of the reading that is under way
		counted, err := read(t.Context(), path, from, tally{
			pattern: regexp.MustCompile("verified_with=previous"), who: -1,
			shown: func(name string) string {
				if left == 0 {
					if left = uses; truncated < test.times {
						truncated++
						uses--
						write(uses)
					}
				}
				left--
				return name
			},
		})
		if test.want == 0 {
			if !errors.Is(err, errMoved) {
				t.Errorf("truncated %d times: %v, want that it was truncated", test.times, err)
			}
			continue
		}
		u := counted.users["app.log"]
		if err != nil || u == nil || int(u.times) != test.want {
			t.Errorf("truncated %d times: %+v, %v; want %d uses", test.times, u, err, test.want)
		}
	}
}
