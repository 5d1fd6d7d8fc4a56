package leathertest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"rekey/commands/secret"
)

// Load says how much honest traffic there is, in requests a second; 0 means none.
type Load struct {
	Signed   float64 // half publishing, half viewing, through Web to Django
	Pages    float64 // of the database, without a signature
	Sessions float64 // of somebody who has logged in before; needs Session
	// Session is whose account page is asked for.
	Session *Session
}

// Endpoints that honest traffic goes to.
const (
	Publish  = "publish"  // Web signs POST /api/revalidate/
	View     = "view"     // Web signs POST /api/track-view/
	Articles = "articles" // GET /api/articles/
	Account  = "account"  // GET /account/ with a session
)

// Count is what the requests to one endpoint have met with.
type Count struct {
	Sent, Accepted int
	Refused        map[int]int // answers other than 200, by status
	Errors         int         // no answer
	Slowest        time.Duration
}

// Lost is the number of requests that were not answered as they should be.
func (c Count) Lost() int {
	n := c.Errors
	for _, k := range c.Refused {
		n += k
	}
	return n
}

// Counts are by endpoint.
type Counts map[string]Count

// Total adds up all endpoints.
func (c Counts) Total() Count {
	sum := Count{Refused: map[int]int{}}
	for _, k := range c {
		sum.Sent, sum.Accepted, sum.Errors = sum.Sent+k.Sent, sum.Accepted+k.Accepted, sum.Errors+k.Errors
		sum.Slowest = max(sum.Slowest, k.Slowest)
		for status, n := range k.Refused {
			sum.Refused[status] += n
		}
	}
	return sum
}

// Traffic is running traffic. It is safe for concurrent use.
type Traffic struct {
	estate *Estate
	load   Load
	client *http.Client
	cancel context.CancelFunc
	wg     sync.WaitGroup
	began  time.Time

	mu     sync.Mutex
	counts Counts
}

// Traffic lets steady signed traffic run, rate requests a second, until ctx ends or
// Stop is called.
func (e *Estate) Traffic(ctx context.Context, rate float64) *Traffic {
	return e.StartTraffic(ctx, Load{Signed: rate})
}

// StartTraffic lets a load run until ctx ends or Stop is called.
func (e *Estate) StartTraffic(ctx context.Context, load Load) *Traffic {
	ctx, cancel := context.WithCancel(ctx)
	t := &Traffic{
		estate: e, load: load, cancel: cancel, began: time.Now(), counts: Counts{},
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
			Timeout:       time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	t.wg.Go(func() { t.every(ctx, load.Signed, t.signed) })
	t.wg.Go(func() { t.every(ctx, load.Pages, t.page) })
	if load.Session != nil {
		t.wg.Go(func() { t.every(ctx, load.Sessions, t.account) })
	}
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
	all := Counts{}
	for name, c := range t.counts {
		c.Refused = maps.Clone(c.Refused)
		all[name] = c
	}
	return all
}

// Running is for how long there has been traffic.
func (t *Traffic) Running() time.Duration { return time.Since(t.began) }

// backlog is how much of the traffic may be unanswered at once.
const backlog = time.Second

// every sends at a steady rate, whether or not earlier requests were answered, as
// clients do. What was late is sent at once, so that the rate holds. Where as much is
// unanswered as backlog says, it waits: a machine too busy for the rate would have
// an ever longer queue, and answer nobody in time.
func (t *Traffic) every(ctx context.Context, rate float64, send func(n int)) {
	if rate <= 0 {
		return
	}
	begin := time.Now()
	waiting := make(chan struct{}, 1+int(rate*backlog.Seconds()))
	for n := 0; ; n++ {
		timer := time.NewTimer(time.Until(begin.Add(time.Duration(float64(n) * float64(time.Second) / rate))))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			select {
			case waiting <- struct{}{}:
			case <-ctx.Done():
			}
			if ctx.Err() == nil { // all may be ready
				t.wg.Go(func() {
					send(n)
					<-waiting
				})
			}
		}
	}
}

func (t *Traffic) signed(n int) {
	name, path, body := Publish, "/publish", fmt.Sprintf(`{"slugs":["post-%d"]}`, n%10)
	if n%2 == 1 {
		name, path, body = View, "/view", fmt.Sprintf(`{"slug":"post-%d"}`, n%10)
	}
	t.send(name, n, http.MethodPost, t.estate.URL(Web)+path, body, nil)
}

func (t *Traffic) page(n int) {
	t.send(Articles, n, http.MethodGet, t.estate.URL(Django)+"/api/articles/", "", nil)
}

func (t *Traffic) account(n int) {
	t.send(Account, n, http.MethodGet, t.estate.URL(Django)+accountPath, "", t.load.Session)
}

// HonestNetwork holds the addresses of the clients, as X-Forwarded-For tells them.
const HonestNetwork = "10.0.0.0/24"

// send counts a request when it goes out and when it comes back. It is not bound to
// the traffic's context: what was sent is waited for.
func (t *Traffic) send(name string, n int, method, url, body string, session *Session) {
	t.count(name, func(c *Count) { c.Sent++ })
	began := time.Now()
	req, err := http.NewRequest(method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.count(name, func(c *Count) { c.Errors++ })
		return
	}
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.0.0.%d", 1+n%20))
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if session != nil {
		session.attach(req)
	}
	res, err := t.client.Do(req)
	if err != nil {
		t.count(name, func(c *Count) { c.Errors++ })
		return
	}
	_, _ = io.Copy(io.Discard, res.Body) // the status is what counts
	_ = res.Body.Close()
	if session != nil {
		session.learn(res)
	}
	t.count(name, func(c *Count) {
		c.Slowest = max(c.Slowest, time.Since(began))
		if res.StatusCode == http.StatusOK {
			c.Accepted++
			return
		}
		c.Refused[res.StatusCode]++
	})
}

func (t *Traffic) count(name string, change func(*Count)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts[name]
	if c.Refused == nil {
		c.Refused = map[int]int{}
	}
	change(&c)
	t.counts[name] = c
}

// CallSigned calls Django's webhook of a variable, signed with v, from an address, and
// answers the status. It is what an attacker does, and a test.
func (e *Estate) CallSigned(ctx context.Context, variable string, v secret.Value, from string) (int, error) {
	path, body := "/api/revalidate/", `{"slugs":["post-1"]}`
	if variable == "ANALYTICS_SECRET" {
		path, body = "/api/track-view/", `{"slug":"post-1"}`
	}
	mac := hmac.New(sha256.New, []byte(v.Reveal()))
	mac.Write([]byte(body))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL(Django)+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, fmt.Errorf("calling %s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
	req.Header.Set("X-Forwarded-For", from)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("calling %s: %w", path, err)
	}
	return res.StatusCode, res.Body.Close()
}
