package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"rekey/audit"
)

const (
	stopWithin = 5 * time.Second  // for telling AWS to stop a query
	maxPause   = 15 * time.Second // between two tries to start a query
)

// row is one line as Insights answers it.
type row struct {
	at                   time.Time // UTC, to the millisecond
	message, stream, ptr string
}

// place finds the line again.
func (r *row) place() string { return r.stream + " " + r.at.Format("2006-01-02T15:04:05.000Z") }

// endedError is a query that ended other than complete.
type endedError struct{ status types.QueryStatus }

func (e *endedError) Error() string { return "the query ended as " + string(e.status) }

// ask runs one query to its end and answers its rows and how many lines matched in all.
func (r *reading) ask(ctx context.Context, text string, from, to int64) ([]row, int64, error) {
	id, err := r.start(ctx, text, from, to)
	if err != nil {
		return nil, 0, err
	}
	ended := false
	defer func() {
		if ended {
			return
		}
		// It would go on scanning, and costing, without anybody waiting for it.
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancel()
		_, _ = r.source.client.StopQuery(stop, &cloudwatchlogs.StopQueryInput{QueryId: id})
	}()
	for pause, most := r.source.cfg.Poll, 8*r.source.cfg.Poll; ; pause = min(pause*3/2, most) {
		if err := sleep(ctx, pause); err != nil {
			return nil, 0, err
		}
		out, err := r.source.client.GetQueryResults(ctx, &cloudwatchlogs.GetQueryResultsInput{QueryId: id})
		if throttled(err) {
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("reading the results: %w", err)
		}
		switch out.Status {
		case types.QueryStatusScheduled, types.QueryStatusRunning, types.QueryStatusUnknown:
			continue // its results are partial
		case types.QueryStatusComplete:
		case types.QueryStatusFailed, types.QueryStatusCancelled, types.QueryStatusTimeout:
			ended = true
			return nil, 0, &endedError{out.Status}
		default:
			return nil, 0, &endedError{out.Status}
		}
		ended = true
		r.asked++
		var matched int64
		if st := out.Statistics; st != nil {
			r.bytes, r.records, matched = r.bytes+int64(st.BytesScanned), r.records+int64(st.RecordsScanned), int64(st.RecordsMatched)
		}
		rows, err := r.rows(ctx, id, out)
		return rows, matched, err
	}
}

// start starts a query. Where as many run as AWS allows, it waits for one to end, as long
// as ctx lasts.
func (r *reading) start(ctx context.Context, text string, from, to int64) (*string, error) {
	var waited error // why it had to wait, which says more than that time ran out meanwhile
	for pause := 4 * r.source.cfg.Poll; ; pause = min(2*pause, maxPause) {
		out, err := r.source.client.StartQuery(ctx, &cloudwatchlogs.StartQueryInput{
			LogGroupName: aws.String(r.source.cfg.Group), QueryString: aws.String(text),
			StartTime: aws.Int64(from), EndTime: aws.Int64(to),
		})
		if err == nil {
			return out.QueryId, nil
		}
		var busy *types.LimitExceededException
		switch {
		case errors.As(err, &busy), throttled(err):
			waited = err
		case ctx.Err() != nil && waited != nil:
			return nil, fmt.Errorf("starting a query: %w", waited)
		default:
			return nil, fmt.Errorf("starting a query: %w", err)
		}
		if sleep(ctx, pause) != nil {
			return nil, fmt.Errorf("starting a query: %w", waited)
		}
	}
}

// rows are the lines of an answer and of its further pages.
func (r *reading) rows(ctx context.Context, id *string, out *cloudwatchlogs.GetQueryResultsOutput) ([]row, error) {
	var list []row
	for {
		for _, fields := range out.Results {
			var one row
			for _, f := range fields {
				value := aws.ToString(f.Value)
				switch aws.ToString(f.Field) {
				case "@timestamp":
					at, err := time.Parse("2006-01-02 15:04:05.000", value)
					if err != nil {
						return nil, errors.New("an answer of Insights has a timestamp of another form")
					}
					one.at = at
				case "@message":
					one.message = value
				case "@logStream":
					one.stream = audit.Clean(value, 80)
				case "@ptr":
					one.ptr = value
				}
			}
			list = append(list, one)
		}
		if aws.ToString(out.NextToken) == "" {
			return list, nil
		}
		var err error
		out, err = r.source.client.GetQueryResults(ctx, &cloudwatchlogs.GetQueryResultsInput{QueryId: id, NextToken: out.NextToken})
		if err != nil {
			return nil, fmt.Errorf("reading further results: %w", err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kept is since when the log group keeps its lines: since it was created, or as far back as
// its retention reaches, which cuts it. A *deniedError means that AWS does not tell.
func (s *Source) kept(ctx context.Context) (since time.Time, cut bool, err error) {
	in := &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String(s.cfg.Group)}
	for {
		out, err := s.client.DescribeLogGroups(ctx, in)
		if code(err) == "AccessDeniedException" {
			return time.Time{}, false, &deniedError{"DescribeLogGroups"}
		}
		if err != nil {
			return time.Time{}, false, fmt.Errorf("looking for the log group: %w", err)
		}
		for _, g := range out.LogGroups {
			if aws.ToString(g.LogGroupName) != s.cfg.Group {
				continue
			}
			since = time.UnixMilli(aws.ToInt64(g.CreationTime)).UTC()
			if days := int(aws.ToInt32(g.RetentionInDays)); days > 0 {
				if horizon := s.cfg.Now().UTC().AddDate(0, 0, -days); horizon.After(since) {
					since, cut = horizon, true
				}
			}
			return since, cut, nil
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return time.Time{}, false, errNoGroup
		}
	}
}
