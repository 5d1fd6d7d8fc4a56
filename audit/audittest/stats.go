package audittest

import (
	"net/http"
	"strconv"
	"time"
)

// Use counts n events that arrived with a key at a time.
func (s *Sentry) Use(public string, n int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(public, n, at)
}

// count is Use for a caller that holds mu.
func (s *Sentry) count(public string, n int, at time.Time) {
	hours := s.used[public]
	if hours == nil {
		hours = map[int64]int{}
		s.used[public] = hours
	}
	hours[at.Unix()/hour] += n
}

const hour = int64(time.Hour / time.Second)

// keyStats answers GET …/keys/KEY/stats/: one point for each hour or day that has begun
// since "since", in seconds since 1970. Sentry takes 10s as a resolution and then has
// no such counts; finer than an hour there is nothing.
func (s *Sentry) keyStats(w http.ResponseWriter, r *http.Request, k ClientKey) {
	query := r.URL.Query()
	step := map[string]int64{"": 24 * hour, "1d": 24 * hour, "1h": hour}[query.Get("resolution")]
	until := float64(time.Now().Unix())
	var err error
	if text := query.Get("until"); text != "" {
		until, err = strconv.ParseFloat(text, 64)
	}
	since := until - 24*float64(hour)
	if text := query.Get("since"); text != "" && err == nil {
		since, err = strconv.ParseFloat(text, 64)
	}
	if err != nil || step == 0 || since > until {
		detail(w, http.StatusBadRequest, "Invalid request data")
		return
	}
	points := []map[string]int64{}
	s.mu.Lock()
	for ts := int64(since) / step * step; ts < int64(until); ts += step {
		var n int64
		for h, count := range s.used[k.Public] {
			if h*hour >= ts && h*hour < ts+step {
				n += int64(count)
			}
		}
		points = append(points, map[string]int64{"ts": ts, "total": n, "accepted": n, "dropped": 0, "filtered": 0})
	}
	s.mu.Unlock()
	answer(w, points)
}
