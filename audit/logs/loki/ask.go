package loki

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxBody   = 256 << 20 // bytes of an answer: a page of lines, each as long as Loki takes them
	maxTries  = 4         // of one request
	maxWait   = 30 * time.Second
	firstWait = 250 * time.Millisecond // before a failed request is tried again
)

// entry is one line as Loki keeps it. Entries that are equal are one.
type entry struct {
	at     time.Time // UTC
	stream string
	line   string
}

// answer is the part of a range query's answer that is used.
type answer struct {
	Status string `json:"status"`
	Data   struct {
		Result []struct {
			Stream map[string]string   `json:"stream"`
			Values [][]json.RawMessage `json:"values"` // time, line and, with newer versions, metadata
		} `json:"result"`
		ResultType string `json:"resultType"`
		Stats      struct {
			Summary struct {
				Bytes int64 `json:"totalBytesProcessed"`
				Lines int64 `json:"totalLinesProcessed"`
			} `json:"summary"`
		} `json:"stats"`
	} `json:"data"`
}

// errNotLoki is an answer that is not the API's.
var errNotLoki = errors.New("the answer is not Loki's")

// ask makes one range query. A 429 is waited out as long as ctx allows, at most half a
// minute at a time; a 5xx and a broken connection are tried again.
func (r *reading) ask(ctx context.Context, s span, limit int) ([]entry, error) {
	pause := firstWait
	for try := 1; ; try++ {
		page, err := r.once(ctx, s, limit)
		if err == nil {
			return page, nil
		}
		var refused *refusal
		wait := pause
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, errNotLoki), errors.Is(err, errToken):
			return nil, err
		case errors.As(err, &refused) && refused.status == http.StatusTooManyRequests:
			wait = max(wait, refused.wait)
			if deadline, ok := ctx.Deadline(); wait > maxWait || ok && time.Until(deadline) < wait {
				return nil, err
			}
		case errors.As(err, &refused) && (refused.status < 500 || refused.is(tooMuch)):
			return nil, err
		}
		if try == maxTries {
			return nil, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		pause *= 2
	}
}

func (r *reading) once(ctx context.Context, s span, limit int) ([]entry, error) {
	direction := "forward"
	if s.newest {
		direction = "backward"
	}
	form := url.Values{
		"query": {s.query}, "limit": {strconv.Itoa(limit)}, "direction": {direction},
		"start": {strconv.FormatInt(s.from.UnixNano(), 10)}, "end": {strconv.FormatInt(s.to.UnixNano(), 10)},
	}
	u := *r.source.base
	u.RawQuery, u.Fragment = form.Encode(), ""
	u.Path = strings.TrimSuffix(u.Path, "/") + "/loki/api/v1/query_range"
	u.RawPath = ""
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking loki: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if err := r.source.authorize(req); err != nil {
		return nil, err
	}
	resp, err := r.source.cfg.HTTPClient.Do(req)
	if err != nil {
		var about *url.Error // quotes the address with the query
		if errors.As(err, &about) {
			err = about.Err
		}
		return nil, fmt.Errorf("asking loki: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refusedWith(resp, r.source.cfg.Now())
	}
	var a answer
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&a); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, errNotLoki // the decoder's text may quote the answer
	}
	if a.Status != "success" || a.Data.ResultType != "streams" {
		return nil, errNotLoki
	}
	r.bytes += a.Data.Stats.Summary.Bytes
	r.lines += a.Data.Stats.Summary.Lines
	return a.entries(s.newest)
}

// errToken is a token that could not be read.
var errToken = errors.New("the token could not be read")

func (s *Source) authorize(req *http.Request) error {
	if s.cfg.Tenant != "" {
		req.Header.Set("X-Scope-OrgID", s.cfg.Tenant)
	}
	if s.cfg.Token == nil {
		return nil
	}
	token, err := s.cfg.Token()
	if err != nil || token == "" {
		return errToken
	}
	if s.cfg.User != "" {
		req.SetBasicAuth(s.cfg.User, token)
	} else {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return nil
}

// entries are the lines of all streams, in one order.
func (a *answer) entries(newest bool) ([]entry, error) {
	var list []entry
	for _, result := range a.Data.Result {
		var key strings.Builder
		for _, name := range slices.Sorted(maps.Keys(result.Stream)) {
			fmt.Fprintf(&key, "%s=%q ", name, result.Stream[name])
		}
		for _, v := range result.Values {
			var nanos, line string
			if len(v) < 2 || json.Unmarshal(v[0], &nanos) != nil || json.Unmarshal(v[1], &line) != nil {
				return nil, errNotLoki
			}
			n, err := strconv.ParseInt(nanos, 10, 64)
			if err != nil {
				return nil, errNotLoki
			}
			list = append(list, entry{at: time.Unix(0, n).UTC(), stream: key.String(), line: line})
		}
	}
	slices.SortStableFunc(list, func(a, b entry) int {
		if newest {
			a, b = b, a
		}
		return a.at.Compare(b.at)
	})
	return list, nil
}
