package logs

import (
	"context"
	"errors"
	"time"
)

// Ended says of a reading from a source what any source can say: nil where it came to its
// end, the very error of whoever took the records, a *[Fault] that there is already, and as
// a *Fault that time ran out or that the reading was stopped. reader is who was asked, as a
// sentence begins with it ("Loki", "journalctl"); reached is the time of the last line that
// was read, zero for none. Of any other error ok is false: only the source knows what it
// means.
func Ended(reader string, err error, reached time.Time) (ok bool, said error) {
	var stop *Stopped
	var fault *Fault
	var why string
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &stop):
		return true, stop.Err
	case errors.As(err, &fault):
		return true, fault
	case errors.Is(err, context.Canceled):
		why = "The audit was stopped before " + reader + " had answered."
	case errors.Is(err, context.DeadlineExceeded) && reached.IsZero():
		why = reader + " did not answer in time; ask for a shorter window, or again with more time."
	case errors.Is(err, context.DeadlineExceeded):
		why = "Time ran out at its line of " + Moment(reached) + ", and what came later was not read; ask for a shorter window, or again with more time."
	default:
		return false, nil
	}
	return true, &Fault{Why: why, Err: err}
}

// Moment is a time as a sentence gives it: "2026-11-22 19:35:18 UTC".
func Moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
