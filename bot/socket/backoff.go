package socket

import (
	"math/rand/v2"
	"time"
)

// backoff doubles a pause from min to max and spreads it by half, so that many
// processes cut off at once do not come back at once.
type backoff struct {
	min, max time.Duration
	// floor is the least pause while it is known that connecting will fail.
	floor time.Duration
	n     int
}

func (b *backoff) next() time.Duration {
	d := b.max
	if b.n < 20 && b.min<<b.n < b.max {
		d = b.min << b.n
	}
	b.n++
	return max(d/2+rand.N(d/2+1), b.floor) //nolint:gosec // spreading load needs no secrecy
}

func (b *backoff) reset()     { b.n = 0 }
func (b *backoff) used() bool { return b.n > 0 }
