package bottest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Faults makes a stand-in misbehave, at run time, request by request. Counted faults are consumed in the order they
// were asked for, one per request; the zero value does nothing. Every method is safe for concurrent use.
type Faults struct {
	mu    sync.Mutex
	slow  time.Duration
	queue []fault
	on    map[string]*Faults
}

type faultKind int

const (
	faultNone faultKind = iota
	faultStatus
	faultRateLimit
	faultLoseResponse
	faultGarbage
)

type fault struct {
	kind       faultKind
	status     int
	retryAfter time.Duration
}

// On narrows faults to one operation: a Slack method ("chat.postMessage") or, for PagerDuty, "enqueue". Faults set on
// the narrowed value are consumed before the ones set for everything.
func (f *Faults) On(operation string) *Faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.on == nil {
		f.on = map[string]*Faults{}
	}
	if f.on[operation] == nil {
		f.on[operation] = &Faults{}
	}
	return f.on[operation]
}

// Slow delays every answer by d until it is set to 0.
func (f *Faults) Slow(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slow = d
}

// Fail answers the next n requests with an HTTP status (and the vendor's way of saying it) without doing the work.
func (f *Faults) Fail(status, n int) { f.add(fault{kind: faultStatus, status: status}, n) }

// RateLimit refuses the next n requests with 429 and a Retry-After header, rounded up to whole seconds.
func (f *Faults) RateLimit(n int, retryAfter time.Duration) {
	f.add(fault{kind: faultRateLimit, retryAfter: retryAfter}, n)
}

// LoseResponse does the work of the next n requests and then drops the connection: the caller cannot know.
func (f *Faults) LoseResponse(n int) { f.add(fault{kind: faultLoseResponse}, n) }

// Garbage answers the next n requests with status 200 and a body that is not JSON, without doing the work.
func (f *Faults) Garbage(n int) { f.add(fault{kind: faultGarbage}, n) }

// Heal forgets every fault, the narrowed ones included.
func (f *Faults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slow, f.queue, f.on = 0, nil, nil
}

func (f *Faults) add(x fault, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.queue = append(f.queue, x)
	}
}

// next consumes the fault for one request and says how long to wait first.
func (f *Faults) next(operation string) (fault, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	slow := f.slow
	if narrowed := f.on[operation]; narrowed != nil {
		x, d := narrowed.next("")
		slow = max(slow, d)
		if x.kind != faultNone {
			return x, slow
		}
	}
	if len(f.queue) == 0 {
		return fault{}, slow
	}
	x := f.queue[0]
	f.queue = f.queue[1:]
	return x, slow
}

// retryAfterHeader sets Retry-After in whole seconds, rounded up, as both vendors send it.
func retryAfterHeader(w http.ResponseWriter, d time.Duration) {
	seconds := int64((d + time.Second - 1) / time.Second)
	w.Header().Set("Retry-After", strconv.FormatInt(max(1, seconds), 10))
}
