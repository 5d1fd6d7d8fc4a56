package lokitest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// asked is a range query's parameters, checked.
func (s *Server) asked(r *http.Request) (Request, error) {
	form := r.URL.Query()
	now := s.cfg.Now()
	req := Request{Query: form.Get("query"), Limit: 100, Direction: "backward", Start: now.Add(-time.Hour), End: now}
	var err error
	if text := form.Get("limit"); text != "" {
		if req.Limit, err = strconv.Atoi(text); err != nil || req.Limit <= 0 {
			return req, errors.New("limit must be a positive value")
		}
	}
	if text := form.Get("direction"); text != "" {
		if req.Direction = strings.ToLower(text); req.Direction != "forward" && req.Direction != "backward" {
			return req, errors.New("invalid direction " + strconv.Quote(text))
		}
	}
	if req.Start, err = stamp(form.Get("start"), req.Start); err != nil {
		return req, err
	}
	if req.End, err = stamp(form.Get("end"), req.End); err != nil {
		return req, err
	}
	switch length := req.End.Sub(req.Start); {
	case length <= 0:
		return req, errors.New("end timestamp must not be before or equal to start time")
	case req.Limit > s.cfg.MaxEntries:
		return req, fmt.Errorf("max entries limit per query exceeded, limit > max_entries_limit_per_query (%d > %d)", req.Limit, s.cfg.MaxEntries)
	case length > s.cfg.MaxLength:
		return req, fmt.Errorf("the query time range exceeds the limit (query length: %s, limit: %s)", length, s.cfg.MaxLength)
	}
	if s.cfg.Lookback > 0 {
		oldest := now.Add(-s.cfg.Lookback)
		if req.End.Before(oldest) {
			return req, fmt.Errorf("this data is no longer available, it is past now - max_query_lookback (%s)", s.cfg.Lookback)
		}
		if req.Start.Before(oldest) {
			req.Start = oldest // Loki clamps silently
		}
	}
	return req, nil
}

// stamp reads a time: nanoseconds since 1970, seconds where the number is short, or RFC 3339.
func stamp(text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if len(text) <= 10 {
			return time.Unix(n, 0), nil
		}
		return time.Unix(0, n), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, fmt.Errorf("could not parse %q as a time", text)
	}
	return at, nil
}

// hit is a line on its way out.
type hit struct {
	stream *stream
	Entry
}

// queryRange answers GET /loki/api/v1/query_range.
func (s *Server) queryRange(w http.ResponseWriter, r *http.Request) {
	if tenant := r.Header.Get("X-Scope-OrgID"); s.cfg.Tenant != "" && tenant != s.cfg.Tenant {
		answer(w, nil, 0, 0) // another tenant's logs are simply not there
		return
	}
	req, err := s.asked(r)
	q, parseErr := parse(req.Query)
	if err := cmp.Or(parseErr, err); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, req)
	var hits []hit
	var bytes, lines int64
	for _, st := range s.streams {
		if !q.stream(st.labels) {
			continue
		}
		for _, e := range st.entries {
			if e.At.Before(req.Start) || !e.At.Before(req.End) {
				continue
			}
			bytes, lines = bytes+int64(len(e.Line)), lines+1
			if q.line(e.Line) {
				hits = append(hits, hit{st, e})
			}
		}
	}
	s.mu.Unlock()
	if s.cfg.MaxBytes > 0 && bytes > s.cfg.MaxBytes {
		http.Error(w, fmt.Sprintf("the query would read too many bytes (query: %d B, limit: %d B); consider adding more specific stream selectors or reduce the time range of the query", bytes, s.cfg.MaxBytes), http.StatusBadRequest)
		return
	}
	slices.SortStableFunc(hits, func(a, b hit) int {
		if req.Direction == "backward" {
			a, b = b, a
		}
		return a.At.Compare(b.At)
	})
	answer(w, hits[:min(req.Limit, len(hits))], bytes, lines)
}

// answer groups the lines by stream, as Loki does.
func answer(w http.ResponseWriter, hits []hit, bytes, lines int64) {
	type result struct {
		Stream map[string]string `json:"stream"`
		Values [][2]string       `json:"values"`
	}
	results := []*result{}
	by := map[*stream]*result{}
	for _, h := range hits {
		res := by[h.stream]
		if res == nil {
			res = &result{Stream: h.stream.labels}
			by[h.stream] = res
			results = append(results, res)
		}
		res.Values = append(res.Values, [2]string{strconv.FormatInt(h.At.UnixNano(), 10), h.Line})
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{
		"resultType": "streams", "result": results,
		"stats": map[string]any{"summary": map[string]any{"totalBytesProcessed": bytes, "totalLinesProcessed": lines}},
	}})
}
