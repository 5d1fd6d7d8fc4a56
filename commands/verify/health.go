package verify

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Health asks address until it answers 200 or opts.Within has passed. Another answer
// is a failed check; no answer is an unknown one. rt may be nil for Transport().
func Health(ctx context.Context, consumer, address string, rt http.RoundTripper, opts Options) Result {
	opts.Consumer = consumer
	opts = opts.withDefaults()
	a := newAsker(rt)
	deadline := time.Now().Add(opts.Within)
	for asked := 1; ; asked++ {
		got := a.ask(ctx, http.MethodGet, address, "", nil)
		if got.status == http.StatusOK {
			return Result{Outcome: Passed, Detail: consumer + ": healthy.", Asked: asked}
		}
		if ctx.Err() == nil && time.Now().Before(deadline) && pause(ctx, opts.Pause) {
			continue
		}
		switch {
		case ctx.Err() != nil:
			return Result{Outcome: UnknownCheck, Detail: consumer + ": the health check was stopped.", Asked: asked}
		case got.why != "":
			return Result{Outcome: UnknownCheck, Detail: fmt.Sprintf("%s: its health could not be asked for %s: %s.", consumer, span(opts.Within), got.why), Asked: asked}
		}
		return Result{Outcome: FailedCheck, Detail: fmt.Sprintf("%s: not healthy after %s: it answered %d.", consumer, span(opts.Within), got.status), Asked: asked}
	}
}
