package sentrykey

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rekey/commands/issue"
)

// meter is what was read of an old key's statistics. Sentry counts by the hour, so that
// two readings, and not one, tell whether a key is in use now.
type meter struct {
	since    time.Time // of the count: a full hour
	readings []reading // the last ones, over Quiet and one before
	grown    time.Time // when the count was last seen to grow; zero for never
}

type reading struct {
	at    time.Time
	count int64
}

// point is one hour of a key's statistics: error events that came with it, whether
// Sentry kept them or not.
type point struct {
	At    int64 `json:"ts"` // seconds since 1970
	Total int64 `json:"total"`
}

// Usage tells how many events still come with the old key. Nobody uses it when no event
// was counted in this hour and the last, or when the count stood still for Quiet, which
// takes several calls. rekey's own test events do not count.
//
// Sentry counts error events, not applications: one that has had nothing to report is
// not seen. And it counts by the hour: in a compromised run, which asks who uses the key
// since the switch, the first call only sets the mark, and is an *issue.Wait.
func (i *Issuer) Usage(ctx context.Context, o issue.Order) (issue.Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d, err := i.open(o)
	if err != nil {
		return issue.Usage{}, err
	}
	name, ok := public(o.Old)
	if !ok {
		return issue.Usage{}, issue.ErrCannotTell
	}
	old, err := d.look(ctx, name)
	if err != nil || old == nil {
		return issue.Usage{}, err // a key that is gone is used by nobody
	}
	now := i.cfg.Now()
	since := i.since(o, now)
	var points []point
	_, err = d.reads(ctx, "read a client key's statistics", &points, url.Values{
		"resolution": {"1h"},
		"since":      {strconv.FormatInt(since.Unix(), 10)},
		"until":      {strconv.FormatInt(now.Unix()+1, 10)},
	}, "keys", old.ID, "stats")
	var fault *issue.Fault
	if errors.As(err, &fault) && status(err) != http.StatusUnauthorized {
		return issue.Usage{}, fmt.Errorf("%w: Sentry does not answer with this key's statistics", issue.ErrCannotTell)
	}
	if err != nil {
		return issue.Usage{}, err
	}
	var count int64
	for _, p := range points {
		if p.At >= since.Unix() {
			count += p.Total
		}
	}
	u, first := i.judge(o, name, old.called(), reading{at: now, count: count})
	if first && o.Compromised {
		return issue.Usage{}, &issue.Wait{Sentence: "Sentry counts events by the hour, and was read once"}
	}
	return u, nil
}

// since answers from when on an old key's events are counted: the hour before the one
// in which the first reading is made.
func (i *Issuer) since(o issue.Order, now time.Time) time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	m := i.meters[o.Run]
	if m == nil {
		m = &meter{since: now.Truncate(time.Hour).Add(-time.Hour)}
		i.meters[o.Run] = m
	}
	return m.since
}

// judge adds a reading and says what all of them tell; first reports that it stands alone.
func (i *Issuer) judge(o issue.Order, public, called string, r reading) (u issue.Usage, first bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	m := i.meters[o.Run]
	if m == nil { // Finish forgot it meanwhile
		return issue.Usage{}, false
	}
	for _, own := range i.sent[public] {
		if !own.at.Before(m.since) {
			r.count--
		}
	}
	r.count = max(0, r.count) // statistics come later than events
	first = len(m.readings) == 0
	if first && r.count > 0 && !o.Compromised || !first && r.count > m.readings[len(m.readings)-1].count {
		m.grown = r.at
	}
	m.readings = append(m.readings, r)
	for len(m.readings) > 2 && r.at.Sub(m.readings[1].at) >= i.cfg.Quiet {
		m.readings = m.readings[1:]
	}
	if m.grown.IsZero() || r.at.Sub(m.grown) >= i.cfg.Quiet {
		return issue.Usage{}, first
	}
	from := reading{at: m.since}
	if base := m.readings[0]; o.Compromised || r.at.Sub(base.at) >= time.Minute {
		from = base
	}
	u = issue.Usage{
		Users:     []string{fmt.Sprintf("whatever reports with client key %s; Sentry counts its events and does not tell from where they come", called)},
		PerMinute: float64(r.count-from.count) / max(r.at.Sub(from.at), time.Second).Minutes(),
	}
	u.Callers = []issue.Caller{{Says: u.Users[0], PerMinute: u.PerMinute}}
	if len(m.readings) > 1 {
		u.Since = m.grown
	}
	return u, first
}

// note keeps that a test event was sent with a key.
func (i *Issuer) note(public string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sent[public] = append(i.sent[public], event{at: i.cfg.Now()})
}

// forget drops what was noted about a run's old key.
func (i *Issuer) forget(o issue.Order) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.meters, o.Run)
	if name, ok := public(o.Old); ok {
		delete(i.sent, name)
	}
}
