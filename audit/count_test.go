package audit_test

import (
	"math"
	"testing"

	"rekey/audit"
)

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 lines", 1: "1 line", 2: "2 lines", 999: "999 lines", 1000: "1,000 lines", 8112: "8,112 lines", 1234567: "1,234,567 lines",
		-1: "-1 lines", -999: "-999 lines", -8112: "-8,112 lines", math.MinInt64: "-9,223,372,036,854,775,808 lines",
	} {
		if got := audit.Count(n, "line"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	if got := audit.Number(65536); got != "65,536" {
		t.Errorf("%q", got)
	}
}
