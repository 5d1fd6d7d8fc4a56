// Package loki reads evidence from Grafana Loki, for logs that outgrow one machine. Loki
// leaves out what cannot be evidence ([logs.Prefilter]) and sends the rest, page by page;
// the parsers here judge every line of it as they judge a file's.
//
// Protocol: GET /loki/api/v1/query_range as in
// https://grafana.com/docs/loki/latest/reference/loki-http-api/, limits and error texts as
// in https://grafana.com/docs/loki/latest/operations/troubleshooting/troubleshoot-query/.
// Nothing is written and nothing else is asked. Loki's own modules are under the AGPL, and
// of its API one call is needed, so the client is ours.
package loki

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"rekey/audit"
	"rekey/audit/logs"
)

// Config says where Loki is, which lines are meant, and how to show who asks.
type Config struct {
	URL string // "https://loki.example.com"; the API is below it
	// Selector names the streams: `{app="leather-api"}`.
	Selector string
	Format   logs.Format // of the lines
	Tenant   string      // X-Scope-OrgID; "" sends none
	// User makes the token a password (HTTP basic authentication, as Grafana Cloud wants
	// it); "" sends the token as a bearer token.
	User string
	// Token answers the token at the time of a request, so that it is held in one place
	// only; nil asks without one.
	Token func() (string, error)
	// HTTPClient defaults to one that follows no redirects: a token must not travel on.
	HTTPClient *http.Client
	// Timeout bounds one Scan where the context does not; 0 means a minute.
	Timeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Source reads the streams of one selector. It is safe for concurrent use.
type Source struct {
	cfg  Config
	base *url.URL
}

// New checks the configuration. It makes no request.
func New(cfg Config) (*Source, error) {
	base, err := url.Parse(cfg.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil {
		return nil, errors.New("loki: the URL must be like https://loki.example.com, without a user")
	}
	if err := CheckSelector(cfg.Selector); err != nil {
		return nil, fmt.Errorf("loki: %w", err)
	}
	if !cfg.Format.Known() {
		return nil, fmt.Errorf("unknown format %q", cfg.Format)
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Source{cfg: cfg, base: base}, nil
}

// Title is what people call the source.
func (s *Source) Title() string { return "Loki " + s.cfg.Selector }

// lookback is how far before the window a line is looked for that shows that the log
// reaches back to it.
const lookback = 7 * 24 * time.Hour

// Scan hands every record of the window to yield, in the order Loki received the lines.
// Begins and Ends are times of lines at both ends of the log as far as it was looked for:
// from a week before the window to its end. An error is a *[logs.Fault] or yield's; what
// was handed out before it is valid. With an error, a zero Begins means that nothing was
// read at all.
func (s *Source) Scan(ctx context.Context, q logs.Query, yield func(logs.Record) error) (logs.Stats, error) {
	within, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	lines, err := logs.NewLines(s.Title(), s.cfg.Format, q, yield)
	if err != nil {
		return logs.Stats{}, err
	}
	r := &reading{source: s, limit: pageLimit}
	from, to := q.Reach(s.cfg.Now())
	// Loki does not tell how long it keeps lines, so what was before the first one it has may
	// be gone.
	stats := logs.Stats{Ordered: true, Cut: true}
	if stats.Begins, stats.Ends, err = r.extent(within, from, to); err == nil && stats.Begins.IsZero() {
		err = &logs.Fault{Why: fmt.Sprintf("Loki has no line of %s from %s to %s; check the selector and the tenant, and that the lines are shipped.",
			s.cfg.Selector, logs.Moment(from.Add(-lookback)), logs.Moment(to))}
	}
	if err == nil {
		err = r.walk(within, span{query: s.cfg.Selector + lineFilters(s.cfg.Format, q), from: from, to: to}, func(e entry) error {
			if err := lines.Take([]byte(e.line), e.at, stampText(e.at)); err != nil {
				return err
			}
			return nil
		})
	}
	if err == nil {
		lines.Sample(from, to, func(before time.Time, look func([]byte, time.Time)) error {
			return s.explain(r.sample(within, from.Add(-lookback), before, look), time.Time{})
		})
	}
	stats.Read, stats.Lines = r.bytes, r.lines
	lines.Tell(&stats)
	if r.crowded != "" {
		stats.Gaps = append(stats.Gaps, logs.Gap{Why: r.crowded, Left: audit.Partial})
	}
	return stats, s.explain(err, r.reached)
}

// Last answers the newest records of the end of the window, oldest first, at most n of each
// kind: see [logs.Newest].
func (s *Source) Last(ctx context.Context, q logs.Query, n int, kinds ...audit.Kind) ([]logs.Record, logs.Stats, error) {
	r := &reading{source: s, limit: pageLimit}
	from, to := q.Recent(s.cfg.Now())
	records, err := logs.Newest(s.Title(), s.cfg.Format, q, n, kinds, func(take func(logs.Message) error) error {
		newest := span{query: s.cfg.Selector + lineFilters(s.cfg.Format, q), from: from, to: to, newest: true, limit: logs.NewestLines}
		return r.walk(ctx, newest, func(e entry) error {
			return take(logs.Message{Text: []byte(e.line), At: e.at, Place: stampText(e.at)})
		})
	})
	return records, logs.Stats{Read: r.bytes, Lines: r.lines}, s.explain(err, time.Time{})
}
