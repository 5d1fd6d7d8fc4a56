package logs_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"rekey/audit/logs"
)

// What every source says alike of a reading that ended, and what only the source can say.
func TestEnded(t *testing.T) {
	t.Parallel()
	reached := time.Date(2026, 11, 22, 20, 35, 18, 999, time.FixedZone("", 3600))
	enough := errors.New("enough")
	fault := &logs.Fault{Why: "It is gone."}
	asked := func(err error) error { return fmt.Errorf("asking loki: %w", err) }
	for name, test := range map[string]struct {
		err     error
		reached time.Time
		says    string
		is      error
	}{
		"to its end":              {nil, reached, "", nil},
		"the taker's error":       {asked(&logs.Stopped{Err: enough}), reached, "enough", enough},
		"the taker ran out":       {&logs.Stopped{Err: asked(context.DeadlineExceeded)}, reached, "asking loki: context deadline exceeded", context.DeadlineExceeded},
		"a fault":                 {asked(fault), reached, "It is gone.", fault},
		"stopped":                 {asked(context.Canceled), reached, "The audit was stopped before Loki had answered.", context.Canceled},
		"no time for an answer":   {asked(context.DeadlineExceeded), time.Time{}, "Loki did not answer in time; ask for a shorter window, or again with more time.", context.DeadlineExceeded},
		"no time for all of it":   {asked(context.DeadlineExceeded), reached, "Time ran out at its line of 2026-11-22 19:35:18 UTC, and what came later was not read; ask for a shorter window, or again with more time.", context.DeadlineExceeded},
		"what Loki alone can say": {asked(enough), reached, "-", nil},
	} {
		ok, said := logs.Ended("Loki", test.err, test.reached)
		if ok == (test.says == "-") || (said == nil) != (test.says == "" || test.says == "-") {
			t.Errorf("%s: %v, %v", name, said, ok)
			continue
		}
		if said != nil && (said.Error() != test.says || !errors.Is(said, test.is)) {
			t.Errorf("%s: %v, want %q", name, said, test.says)
		}
	}
}
