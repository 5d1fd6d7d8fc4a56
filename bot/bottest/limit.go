package bottest

import (
	"sync"
	"time"
)

// Limit is a rate limit: Burst requests at once, then one more for each Every that passes. The zero Limit limits
// nothing.
type Limit struct {
	Burst int
	Every time.Duration
}

// limiter keeps one token bucket per key.
type limiter struct {
	mu      sync.Mutex
	now     func() time.Time
	buckets map[string]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// take spends a token of key, or says how long the caller has to wait for one.
func (l *limiter) take(key string, limit Limit) (wait time.Duration, ok bool) {
	if limit.Burst <= 0 || limit.Every <= 0 {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.buckets == nil {
		l.buckets = map[string]*bucket{}
	}
	b := l.buckets[key]
	if b == nil {
		b = &bucket{tokens: float64(limit.Burst), at: now}
		l.buckets[key] = b
	}
	b.tokens = min(float64(limit.Burst), b.tokens+float64(now.Sub(b.at))/float64(limit.Every))
	b.at = now
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) * float64(limit.Every)), false
	}
	b.tokens--
	return 0, true
}
