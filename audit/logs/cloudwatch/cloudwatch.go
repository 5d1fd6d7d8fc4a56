// Package cloudwatch reads evidence from Amazon CloudWatch Logs through Logs Insights, for
// logs that outgrow one machine. Insights leaves out what cannot be evidence
// ([logs.Prefilter]); the parsers here judge what it answers as they judge a file's lines.
//
// Insights is paid for by the bytes it scans, and scans all of a log group in the time asked
// for whatever the filter, so the window is asked for once; only what lies behind 10,000
// matching lines is asked for again, in as many pieces as its numbers say are needed. Where
// a format does not say what a log holds, a short stretch of it is asked for without a filter.
//
// Protocol: StartQuery, GetQueryResults, StopQuery and DescribeLogGroups of
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/, through AWS's own
// client. A query that is not waited for any longer is stopped.
package cloudwatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"rekey/audit"
	"rekey/audit/logs"
)

// maxRows is how many rows a query of Insights answers at most.
const maxRows = 10_000

// Config says which log group is meant, and how to reach AWS.
type Config struct {
	Group    string      // "/leather/api"
	Format   logs.Format // of its lines
	AWS      aws.Config  // region, credentials and client
	Endpoint string      // "" is AWS's own
	// Timeout bounds one Scan where the context does not; 0 means a minute.
	Timeout time.Duration
	// Poll is the pause before a query's results are first asked for; it grows eightfold.
	// 0 means 250 ms.
	Poll time.Duration
	// Rows is how many rows a query may answer; 0 means 10,000, which is AWS's limit.
	Rows int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Source reads one log group. It is safe for concurrent use.
type Source struct {
	cfg    Config
	client *cloudwatchlogs.Client
}

var groupName = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)

// ValidGroup reports whether name can be the name of a log group.
func ValidGroup(name string) bool { return groupName.MatchString(name) }

// New checks the configuration. It makes no request.
func New(cfg Config) (*Source, error) {
	if !ValidGroup(cfg.Group) {
		return nil, errors.New("cloudwatch: the log group must be a name such as /leather/api")
	}
	if !cfg.Format.Known() {
		return nil, fmt.Errorf("unknown format %q", cfg.Format)
	}
	cfg.Timeout, cfg.Poll = cmp.Or(cfg.Timeout, time.Minute), cmp.Or(cfg.Poll, 250*time.Millisecond)
	cfg.Rows = cmp.Or(cfg.Rows, maxRows)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client := cloudwatchlogs.NewFromConfig(cfg.AWS, func(o *cloudwatchlogs.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
	})
	return &Source{cfg: cfg, client: client}, nil
}

// Title is what people call the source.
func (s *Source) Title() string { return "CloudWatch " + s.cfg.Group }

// Scan hands every record of the window to yield, in time order by CloudWatch's clock.
// Begins is when the log group was created, or how far back it keeps its lines, whichever
// is later; Ends is the end of what was asked for if there were lines in it. An error is a
// *[logs.Fault] or yield's; what was handed out before it is valid. With an error, a zero
// Begins means that nothing was read at all.
func (s *Source) Scan(ctx context.Context, q logs.Query, yield func(logs.Record) error) (logs.Stats, error) {
	within, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	lines, err := logs.NewLines(s.Title(), s.cfg.Format, q, yield)
	if err != nil {
		return logs.Stats{}, err
	}
	r := &reading{source: s, lines: lines, text: queryText(s.cfg.Format, q, "asc", s.cfg.Rows)}
	stats, err := r.scan(within, q)
	if err == nil {
		from, to := q.Reach(s.cfg.Now())
		lines.Sample(from, to, func(before time.Time, look func([]byte, time.Time)) error {
			return s.explain(r.sample(within, later(stats.Begins, from.Add(-lookback)), before, look), time.Time{})
		})
	}
	stats.Ordered = true
	stats.Read, stats.Lines = r.bytes, r.records
	lines.Tell(&stats)
	if r.crowded != "" {
		stats.Gaps = append(stats.Gaps, logs.Gap{Why: r.crowded, Left: audit.Partial})
	}
	return stats, s.explain(err, r.reached)
}

// Last answers the newest records of the end of the window, oldest first, at most n of each
// kind: see [logs.Newest].
func (s *Source) Last(ctx context.Context, q logs.Query, n int, kinds ...audit.Kind) ([]logs.Record, logs.Stats, error) {
	r := &reading{source: s}
	from, to := q.Recent(s.cfg.Now())
	records, err := logs.Newest(s.Title(), s.cfg.Format, q, n, kinds, func(take func(logs.Message) error) error {
		rows, _, err := r.ask(ctx, queryText(s.cfg.Format, q, "desc", min(logs.NewestLines, s.cfg.Rows)), from.Unix(), to.Unix()+1)
		for _, row := range rows {
			if err := take(logs.Message{Text: []byte(row.message), At: row.at, Place: row.place()}); err != nil {
				return err
			}
		}
		return err
	})
	return records, logs.Stats{Read: r.bytes, Lines: r.records}, s.explain(err, time.Time{})
}

// scan reads what the log group keeps of the window.
func (r *reading) scan(ctx context.Context, q logs.Query) (stats logs.Stats, err error) {
	from, to := q.Reach(r.source.cfg.Now())
	kept, cut, err := r.source.kept(ctx)
	var denied *deniedError
	switch {
	case errors.As(err, &denied):
		stats.Gaps = append(stats.Gaps, logs.Gap{
			Why:  "AWS does not let rekey see since when the log group exists and how long it keeps its lines, so its beginning may be missing; allow logs:DescribeLogGroups.",
			Left: audit.Partial,
		})
		kept = from
	case err != nil:
		return stats, err
	case kept.After(to):
		return stats, &logs.Fault{Why: fmt.Sprintf("CloudWatch keeps lines of %s since %s only, after the window ends.", r.source.cfg.Group, logs.Moment(kept))}
	}
	begin := later(from, kept)
	if err := r.walk(ctx, begin.Unix(), to.Unix()+1); err != nil {
		if r.asked > 0 {
			stats.Begins, stats.Ends = kept, r.reached
		}
		return stats, err
	}
	stats.Begins, stats.Ends, stats.Cut = kept, to, cut
	switch {
	case r.records > 0:
	case to.Sub(from) > quiet:
		return stats, &logs.Fault{Why: fmt.Sprintf("CloudWatch received no line of %s from %s to %s; either there was nothing to log, or it is logged elsewhere by now.",
			r.source.cfg.Group, logs.Moment(begin), logs.Moment(to))}
	default:
		stats.Ends = kept // a log may rest for that long
	}
	return stats, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// quiet is for how long a log in use may rest, and what a window is widened by.
const quiet = 16 * time.Minute
