package loki

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/audit/logs"
)

const (
	// pageLimit is max_entries_limit_per_query unless Loki is told another.
	pageLimit = 5000
	// leastSpan is the shortest stretch that is still cut in two when Loki says that a
	// query is too much.
	leastSpan = time.Minute
)

// span is one question: the lines of a query in [from, to).
type span struct {
	query    string
	from, to time.Time
	newest   bool // newest first
	limit    int  // of lines, as far as a page holds so many; 0 for all, page by page
	// seen are the lines of the time from that were handed out already.
	seen map[entry]bool
}

// reading is one Scan's dealings with Loki. What its limits turn out to be is kept.
type reading struct {
	source       *Source
	limit        int           // lines of a page
	longest      time.Duration // a span that is not too long; 0: none was refused yet
	bytes, lines int64         // that Loki searched
	reached      time.Time     // of the last line handed out
	crowded      string        // says of the first time that more lines share than fit a page
}

// errEnough ends a walk.
var errEnough = errors.New("enough")

// extent finds a line at each end of the log: the last before from, or else the first
// after it, and the last before to. Zero times mean that there is no line at all.
func (r *reading) extent(ctx context.Context, from, to time.Time) (begins, ends time.Time, err error) {
	find := func(newest bool, from, to time.Time) (at time.Time, err error) {
		err = r.walk(ctx, span{query: r.source.cfg.Selector, from: from, to: to, newest: newest, limit: 1}, func(e entry) error {
			at = e.at
			return errEnough
		})
		if errors.Is(err, errEnough) {
			err = nil
		}
		return at, err
	}
	begins, err = find(true, from.Add(-lookback), from)
	var refused *refusal
	if errors.As(err, &refused) && refused.is(tooOld) {
		err = nil // so it begins later
	}
	if err != nil {
		return begins, ends, err
	}
	if ends, err = find(true, from, to); err != nil || !begins.IsZero() || ends.IsZero() {
		if ends.IsZero() {
			ends = begins
		}
		return begins, ends, err
	}
	begins, err = find(false, from, to)
	return begins, ends, err
}

// sample hands the newest lines to look, filtered by nothing. Loki reads backwards until it
// has as many as were asked for, and no further.
func (r *reading) sample(ctx context.Context, from, to time.Time, look func(message []byte, at time.Time)) error {
	n := 0
	err := r.walk(ctx, span{query: r.source.cfg.Selector, from: from, to: to, newest: true, limit: logs.SampleLines}, func(e entry) error {
		look([]byte(e.line), e.at)
		if n++; n >= logs.SampleLines {
			return errEnough
		}
		return nil
	})
	var refused *refusal
	if errors.Is(err, errEnough) || errors.As(err, &refused) && refused.is(tooOld) {
		return nil
	}
	return err
}

// walk hands the lines of s to take, oldest first unless s says otherwise, in as many
// pages and pieces as Loki's limits ask for.
func (r *reading) walk(ctx context.Context, s span, take func(entry) error) error {
	if r.longest == 0 || s.to.Sub(s.from) <= r.longest {
		err := r.pages(ctx, &s, take)
		var refused *refusal
		if !errors.As(err, &refused) || !refused.is(tooMuch) || s.to.Sub(s.from) < 2*leastSpan {
			return err
		}
		r.longest = s.to.Sub(s.from) / 2
	}
	middle := s.from.Add(s.to.Sub(s.from) / 2)
	first, second := s, s
	first.to, second.from, second.seen = middle, middle, nil
	if s.newest {
		first, second = second, first
	}
	if err := r.walk(ctx, first, take); err != nil {
		return err
	}
	return r.walk(ctx, second, take)
}

// pages reads a span page by page. The next page begins with the time the last one ended
// with, as lines may share it, and those already seen are left out: Loki keeps no two
// entries of a stream that are equal in time and text. What is left of s after an error
// is what was not handed out.
func (r *reading) pages(ctx context.Context, s *span, take func(entry) error) error {
	for {
		limit := r.limit
		if s.limit > 0 {
			limit = min(limit, s.limit)
		}
		page, err := r.ask(ctx, *s, limit)
		var refused *refusal
		if errors.As(err, &refused) && refused.is(tooManyEntries) && limit > 1 {
			r.limit = refused.entries(limit)
			continue
		}
		if err != nil {
			return err
		}
		fresh := false
		for _, e := range page {
			if s.seen[e] {
				continue
			}
			fresh, r.reached = true, e.at
			if err := take(e); err != nil {
				return err
			}
		}
		if len(page) < limit || s.limit > 0 {
			return nil
		}
		last := page[len(page)-1].at
		if !fresh {
			// A page full of one nanosecond: whatever else it holds cannot be asked for.
			if r.crowded == "" {
				r.crowded = fmt.Sprintf("More than %d of its lines share the time %s, so that some could not be fetched; raise max_entries_limit_per_query in Loki.", limit, stampText(last))
			}
			last = last.Add(1)
		}
		if last.After(s.from) {
			s.from, s.seen = last, map[entry]bool{}
		}
		for _, e := range page {
			if e.at.Equal(last) {
				s.seen[e] = true
			}
		}
		if !s.from.Before(s.to) {
			return nil
		}
	}
}

// stampText is a time as exact as Loki keeps it.
func stampText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
