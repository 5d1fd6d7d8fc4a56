package app

import (
	"context"

	"rekey/audit"
	"rekey/commands/emergency"
	"rekey/commands/inspect"
)

// Reread reads the evidence about a secret in a window once more, as a run of its own
// would, and hands every line behind the report to lines.
func (a *App) Reread(ctx context.Context, name, environment string, w audit.Window, lines func(inspect.Line)) (audit.Report, error) {
	died, marks, err := emergency.Moments(ctx, a.store, name, environment, w)
	if err != nil {
		return audit.Report{}, err
	}
	return a.inspector.Audit(ctx, inspect.Request{
		Secret: name, Environment: environment, Since: w.Since, Until: w.Until, Died: died, Marks: marks, Lines: lines,
	})
}

// Scrub replaces every value rekey knows of, dead ones included, by [redacted], and
// counts them.
func (a *App) Scrub(b []byte) (clean []byte, found int) { return a.guard.Scrub(b) }
