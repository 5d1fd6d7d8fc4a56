package notify

import (
	"errors"
	"time"
)

// RetryAfter says: not now, come back after Delay.
type RetryAfter struct {
	Delay time.Duration
	Class string // a short word, never a vendor's text
}

func (e RetryAfter) Error() string { return "delivery put off: " + e.Class }

// RetryAfter is how the job engine learns the delay.
func (e RetryAfter) RetryAfter() time.Duration { return e.Delay }

// Failed says: it did not work and nobody said when it will; the job engine's own
// backoff decides.
type Failed struct{ Class string }

func (e Failed) Error() string { return "delivery failed: " + e.Class }

// Permanent says: a person has to mend something first, such as a channel that does
// not exist. It is shown in the status and tried again now and then, for a message
// is never given up.
type Permanent struct{ Class string }

func (e Permanent) Error() string { return "delivery needs a person: " + e.Class }

// RetryAfter is how often a delivery that needs a person is tried again.
func (Permanent) RetryAfter() time.Duration { return 3 * time.Minute }

// vendorError is what the vendors' packages say of a failure.
type vendorError interface {
	error
	Class() string
	Lasting() bool
	Delay() time.Duration
}

// typed answers the class of a vendor's error and turns it into one for the job engine.
// Others, such as the end of the context, pass unchanged with class "".
func typed(err error) (class string, out error) {
	var (
		v vendorError
		p Permanent
		r RetryAfter
	)
	switch {
	case errors.As(err, &p):
		return p.Class, p
	case errors.As(err, &r):
		return r.Class, r
	case !errors.As(err, &v):
		return "", err
	case v.Lasting():
		return v.Class(), Permanent{Class: v.Class()}
	case v.Delay() > 0:
		return v.Class(), RetryAfter{Delay: v.Delay(), Class: v.Class()}
	}
	return v.Class(), Failed{Class: v.Class()}
}
