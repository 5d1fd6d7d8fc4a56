package jobs

import (
	"math/rand/v2"
	"sync"
	"time"
)

// backoff doubles from first to most. Nothing is ever given up: the work is a secret
// that leaked or a person who has to be told.
type backoff struct{ first, most time.Duration }

var (
	runBackoff     = backoff{500 * time.Millisecond, 30 * time.Second}
	deliverBackoff = backoff{time.Second, 60 * time.Second}
	// ownBackoff spaces the engine's own tries at a database that does not answer.
	ownBackoff = backoff{50 * time.Millisecond, 2 * time.Second}
)

// delay is how long to wait after failures earlier ones, give or take a tenth, so that
// what failed together does not come back together.
func (b backoff) delay(failures int) time.Duration {
	d := b.most
	if failures < 20 { // beyond, the shift could overflow and most is long reached
		d = min(b.first<<failures, b.most)
	}
	return d - d/10 + rand.N(d/5+1)
}

// failures counts, per wake-up, the failures in a row. It is kept in memory: after a
// restart everything deserves a quick first try.
type failures struct {
	mu sync.Mutex
	n  map[wake]int
}

func (f *failures) count(w wake) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n[w]
}

func (f *failures) record(w wake, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !failed {
		delete(f.n, w)
		return
	}
	if f.n == nil {
		f.n = map[wake]int{}
	}
	f.n[w]++
}
