package rehearsal_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The search in one pass finds what a search for each would: at both ends, overlapping,
// cut short, and among beginnings that are alike.
func TestTheCanaryFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		text := make([]byte, random.IntN(200))
		for i := range text {
			text[i] = "ab"[random.IntN(2)] // so that almost everything begins alike
		}
		needles, want := map[string]needle{}, map[string]bool{}
		for range 40 {
			n := make([]byte, head+random.IntN(8))
			for i := range n {
				n[i] = "ab"[random.IntN(2)]
			}
			if at := random.IntN(len(text) + 1); at+len(n) <= len(text) {
				n = text[at : at+len(n)]
			}
			needles[string(n)] = needle{}
		}
		for n := range needles {
			if bytes.Contains(text, []byte(n)) {
				want[n] = true
			}
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(heldIn(text, needles)))); diff != "" {
			t.Fatalf("in %q (-want +got):\n%s", text, diff)
		}
	}
}
