package usage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"rekey/commands/secret"
	"rekey/commands/verify"
)

const (
	// fetchTimeout bounds one reading.
	fetchTimeout = 5 * time.Second
	// maxPage bounds a page of metrics.
	maxPage = 16 << 20
)

// counter is what a series has said so far.
type counter struct {
	mu   sync.Mutex
	read []reading // oldest first; one at or before the quiet span's start, and all since
}

type reading struct {
	at    time.Time
	value float64
	grew  float64 // since the reading before
}

// metric tells whether a counter has grown. It is read once a look; only the first
// time, when nothing is remembered, it is read twice so that a busy one shows its rate.
func (l *Looker) metric(ctx context.Context, s secret.UsageSource, since time.Time, quiet time.Duration) (sight, error) {
	wanted, err := parseSeries(s.Series)
	if err != nil {
		return sight{}, fmt.Errorf("the series for %s in the catalogue cannot be used", host(s.Metric))
	}
	c := l.counter(s.Metric, s.Series)
	c.mu.Lock()
	defer c.mu.Unlock()

	value, err := l.fetch(ctx, s.Metric, wanted)
	if err != nil {
		return sight{}, err
	}
	now := l.cfg.Clock()
	from := now.Add(-quiet)
	if since.After(from) {
		from = since
	}
	if c.take(now, value, from) {
		if err := pause(ctx, l.cfg.Apart); err != nil {
			return sight{}, err
		}
		if value, err = l.fetch(ctx, s.Metric, wanted); err != nil {
			return sight{}, err
		}
		now = l.cfg.Clock()
		c.take(now, value, from)
	}
	return c.sight(now, since, from, quiet, fmt.Sprintf("%s on %s", wanted.name, host(s.Metric))), nil
}

// counter answers the memory of a series.
func (l *Looker) counter(page, series string) *counter {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := page + "\n" + series
	if l.counters[key] == nil {
		l.counters[key] = &counter{}
	}
	return l.counters[key]
}

// take remembers a reading. first reports that it stands alone: there was none before,
// or the one before is too old to tell when the counter grew.
func (c *counter) take(now time.Time, value float64, from time.Time) (first bool) {
	if n := len(c.read); n > 0 {
		before := c.read[n-1]
		grew := value - before.value
		if grew < 0 { // it began anew, at zero
			grew = value
		}
		if grew > 0 && before.at.Before(from) {
			c.read = nil
		} else {
			c.read = append(c.read, reading{at: now, value: value, grew: grew})
		}
	}
	if len(c.read) == 0 {
		c.read = append(c.read, reading{at: now, value: value})
		return true
	}
	for len(c.read) > 1 && !c.read[1].at.After(from) {
		c.read = c.read[1:]
	}
	return false
}

// sight sums up what was read since from.
func (c *counter) sight(now, since, from time.Time, quiet time.Duration, name string) sight {
	var out sight
	u := user{name: name}
	began := c.read[0].at
	for _, r := range c.read[1:] {
		if r.grew > 0 && !r.at.Before(from) {
			u.times += int64(r.grew)
			u.last = r.at
		}
	}
	if !u.last.IsZero() {
		u.times = max(1, u.times)
		if from.After(began) {
			began = from
		}
		out.perMinute = float64(u.times) / max(now.Sub(began), time.Second).Minutes()
		u.perMinute = out.perMinute
		out.users = []user{u}
		return out
	}
	if since.After(began) {
		began = since
	}
	if watched := now.Sub(began); watched < quiet {
		out.wait = tooShort(watched, quiet)
	}
	return out
}

// fetch reads a series' value now.
func (l *Looker) fetch(ctx context.Context, page string, wanted series) (float64, error) {
	where := host(page)
	limited, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, http.MethodGet, page, nil)
	if err != nil {
		return 0, fmt.Errorf("the address of %s in the catalogue cannot be used", where)
	}
	req.Header.Set("User-Agent", verify.UserAgent)
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	res, err := l.client.Do(req)
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err != nil: // its text quotes the whole address, which may hold a password
		return 0, fmt.Errorf("%s could not be asked for its metrics", where)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answered %d instead of its metrics", where, res.StatusCode)
	}
	value, found, err := find(io.LimitReader(res.Body, maxPage), wanted)
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case err != nil:
		return 0, fmt.Errorf("the metrics of %s could not be read to their end", where)
	case !found:
		return 0, fmt.Errorf("%s has no series %s; let the service count it from zero when it starts", where, wanted.name)
	}
	return value, nil
}

// host names a page without what else its address may hold.
func host(page string) string {
	u, err := url.Parse(page)
	if err != nil || u.Host == "" {
		return "the page of metrics"
	}
	return u.Host
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errSeries = errors.New("not a series")
