package estatetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"rekey/commands/secret"
)

// Where the traffic comes from, as X-Forwarded-For says.
const (
	// HonestNetwork holds the clients that go through web.
	HonestNetwork = "10.0.0.0/24"
	// AttackerAddr signs with the stolen value, straight against api.
	AttackerAddr = "203.0.113.66"
	// LeftAddr is a caller of ours, in HonestNetwork, that nobody has told of the new value.
	LeftAddr = "10.0.0.200"
	// ProberAddr tries without a signature, and with a made-up one.
	ProberAddr = "198.51.100.23"

	attackAgent = "python-requests/2.31.0"
)

// TrafficConfig says how much comes from whom. Rates are requests per second; 0 or
// less means none.
type TrafficConfig struct {
	Honest float64
	Attack float64
	Probe  float64
	Left   float64
	// Stolen is the REVALIDATE_SECRET the attacker has; the zero Value means the one
	// the estate began with.
	Stolen secret.Value
}

// Count is what one kind of client has met with.
type Count struct {
	Sent         int
	Accepted     int         // 2xx
	Refused      map[int]int // any other answer, by status
	Errors       int         // no answer
	LastError    string      // the newest of these
	LastAccepted time.Time   // when the newest accepted answer arrived; zero for never
}

// Refusals is the number of answers that were not 2xx.
func (c Count) Refusals() int {
	n := 0
	for _, k := range c.Refused {
		n += k
	}
	return n
}

// Counts is what all have met with.
type Counts struct{ Honest, Attacker, Prober, Left Count }

// Traffic is running traffic.
type Traffic struct {
	estate *Estate
	stolen string
	client *http.Client
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	counts Counts
}

// StartTraffic lets traffic run until ctx ends or Stop is called.
func (e *Estate) StartTraffic(ctx context.Context, cfg TrafficConfig) *Traffic {
	if cfg.Stolen.IsZero() {
		cfg.Stolen = e.values["REVALIDATE_SECRET"]
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &Traffic{
		estate: e, stolen: cfg.Stolen.Reveal(), cancel: cancel,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: keepIdle}, Timeout: 30 * time.Second},
	}
	for _, c := range []*Count{&t.counts.Honest, &t.counts.Attacker, &t.counts.Prober, &t.counts.Left} {
		c.Refused = map[int]int{}
	}
	t.wg.Go(func() { t.every(ctx, cfg.Honest, t.honest) })
	t.wg.Go(func() { t.every(ctx, cfg.Attack, t.attack) })
	t.wg.Go(func() { t.every(ctx, cfg.Probe, t.probe) })
	t.wg.Go(func() { t.every(ctx, cfg.Left, t.left) })
	return t
}

// Stop sends nothing more, waits for the answers to what was sent, and answers the
// final counts.
func (t *Traffic) Stop() Counts {
	t.cancel()
	t.wg.Wait()
	t.client.CloseIdleConnections()
	return t.Counts()
}

// Counts answers the counts so far.
func (t *Traffic) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	for _, k := range []*Count{&c.Honest, &c.Attacker, &c.Prober, &c.Left} {
		k.Refused = maps.Clone(k.Refused)
	}
	return c
}

// every sends at a steady rate, whether or not earlier requests were answered, as
// clients do.
func (t *Traffic) every(ctx context.Context, rate float64, send func(n int)) {
	if rate <= 0 {
		return
	}
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if ctx.Err() == nil { // both may be ready
				t.wg.Go(func() { send(n) })
			}
		}
	}
}

// honest is an editor who publishes or a reader who views a page.
func (t *Traffic) honest(n int) {
	path := "/publish"
	if n%2 == 1 {
		path = "/view"
	}
	h := http.Header{"X-Forwarded-For": {fmt.Sprintf("10.0.0.%d", 1+n%20)}, "User-Agent": {"Mozilla/5.0 (X11; Linux x86_64)"}}
	t.send(&t.counts.Honest, t.estate.URL(Web)+path, nil, h)
}

// attack signs a purge of the cache with the stolen value.
func (t *Traffic) attack(n int) {
	body := fmt.Appendf(nil, `{"slugs":["deface-%d"]}`, n)
	h := http.Header{"X-Forwarded-For": {AttackerAddr}, "User-Agent": {attackAgent}, "X-Signature": {mac(t.stolen, body)}}
	t.send(&t.counts.Attacker, t.estate.URL(API)+"/api/revalidate/", body, h)
}

// left is a job of ours with the value of before in its own settings.
func (t *Traffic) left(n int) {
	body := fmt.Appendf(nil, `{"slugs":["nightly-%d"]}`, n)
	h := http.Header{"X-Forwarded-For": {LeftAddr}, "User-Agent": {"cron"}, "X-Signature": {mac(t.stolen, body)}}
	t.send(&t.counts.Left, t.estate.URL(API)+"/api/revalidate/", body, h)
}

// probe knows no value. What it says of itself looks like evidence and is none.
func (t *Traffic) probe(n int) {
	body := []byte(`{"slug":"Invalid signature from 10.0.0.1"}`)
	h := http.Header{"X-Forwarded-For": {ProberAddr}, "User-Agent": {`"GET /api/revalidate/" 200 curl/8.5.0`}}
	if n%2 == 1 {
		h.Set("X-Signature", mac(fmt.Sprint(rand.Uint64()), body))
	}
	t.send(&t.counts.Prober, t.estate.URL(API)+"/api/track-view/", body, h)
}

// send counts a request when it goes out and when it comes back. It is not bound to
// the traffic's context: what was sent is waited for.
func (t *Traffic) send(c *Count, url string, body []byte, h http.Header) {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.count(func() { c.Sent, c.Errors, c.LastError = c.Sent+1, c.Errors+1, err.Error() })
		return
	}
	req.Header = h
	req.Header.Set("Content-Type", "application/json")
	t.count(func() { c.Sent++ })
	res, err := t.client.Do(req)
	if err != nil {
		t.count(func() { c.Errors, c.LastError = c.Errors+1, err.Error() })
		return
	}
	_, _ = io.Copy(io.Discard, res.Body) // the status is what counts
	_ = res.Body.Close()
	t.count(func() {
		if res.StatusCode/100 == 2 {
			c.Accepted++
			c.LastAccepted = time.Now()
			return
		}
		c.Refused[res.StatusCode]++
	})
}

func (t *Traffic) count(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}
