package cloudwatchtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// input is the union of what the calls take.
type input struct {
	LogGroupName       string
	LogGroupNamePrefix string
	QueryString        string
	StartTime, EndTime *int64 // seconds
	Limit              *int
	QueryID            string
	NextToken          string
}

// start runs a query at once; its results are handed out poll by poll.
func (s *Server) start(in input) (any, error) {
	g := s.groups[in.LogGroupName]
	switch {
	case in.LogGroupName == "" || in.QueryString == "" || in.StartTime == nil || in.EndTime == nil:
		return nil, refuse("InvalidParameterException", "logGroupName, queryString, startTime and endTime are required")
	case len(in.QueryString) > 10_000:
		return nil, refuse("InvalidParameterException", "queryString must have at most 10000 characters")
	case g == nil:
		return nil, refuse("ResourceNotFoundException", "Log group '%s' does not exist for account ID '123456789012'", in.LogGroupName)
	case *in.StartTime > *in.EndTime:
		return nil, refuse("InvalidParameterException", "startTime must not be after endTime")
	case s.occupied+s.alive() >= s.cfg.Concurrent:
		return nil, refuse("LimitExceededException", "Account maximum query concurrency limit of [%d] reached.", s.cfg.Concurrent)
	}
	q, err := parse(in.QueryString)
	if err != nil {
		return nil, err
	}
	begin, end := time.Unix(*in.StartTime, 0), time.Unix(*in.EndTime, 0)
	kept := g.Created
	if g.RetentionDays > 0 {
		if horizon := s.cfg.Now().AddDate(0, 0, -g.RetentionDays); horizon.After(kept) {
			kept = horizon
		}
	}
	if end.Before(kept) {
		return nil, refuse("MalformedQueryException", "Query's end date and time is either before the log groups creation time or exceeds the log groups log retention settings")
	}
	run := &running{Query: Query{
		ID: fmt.Sprintf("12ab3456-0000-4000-8000-%012d", len(s.queries)+1), Group: in.LogGroupName, Text: in.QueryString,
		Start: begin, End: end, Status: "Scheduled",
	}}
	for _, e := range g.events {
		// The end is included to the second, and not a millisecond further.
		if e.At.Before(begin) || e.At.After(end) || e.At.Before(kept) {
			continue
		}
		run.scanned++
		run.Scanned += int64(len(e.Message))
		if !q.match(e.Message) {
			continue
		}
		run.matched++
		all := map[string]string{
			"@timestamp": e.At.Format("2006-01-02 15:04:05.000"), "@message": e.Message, "@logStream": e.stream, "@ptr": e.ptr,
		}
		row := map[string]string{"@ptr": e.ptr} // always there
		for _, name := range q.fields {
			row[name] = all[name]
		}
		run.rows = append(run.rows, row)
	}
	if q.newest {
		slices.Reverse(run.rows)
	}
	run.rows = run.rows[:min(len(run.rows), q.limit, s.cfg.MaxRows)]
	s.queries = append(s.queries, run)
	return map[string]string{"queryId": run.ID}, nil
}

// alive counts the queries that have not ended.
func (s *Server) alive() int {
	n := 0
	for _, q := range s.queries {
		if q.Status == "Scheduled" || q.Status == "Running" {
			n++
		}
	}
	return n
}

func (s *Server) find(id string) (*running, error) {
	for _, q := range s.queries {
		if q.ID == id {
			return q, nil
		}
	}
	return nil, refuse("ResourceNotFoundException", "Query with ID %s does not exist", id)
}

// results answers what there is: nothing yet, half of it, all of it.
func (s *Server) results(in input) (any, error) {
	q, err := s.find(in.QueryID)
	if err != nil {
		return nil, err
	}
	rows := q.rows
	if q.Status == "Scheduled" || q.Status == "Running" {
		switch q.polls++; {
		case q.polls == 1:
			rows = nil
		case q.polls == 2 || s.held:
			q.Status, rows = "Running", rows[:len(rows)/2]
		case s.ends != "":
			q.Status, rows = s.ends, rows[:len(rows)/2]
		default:
			q.Status = "Complete"
		}
	}
	type pair struct {
		Field string `json:"field"`
		Value string `json:"value"`
	}
	list := make([][]pair, 0, len(rows))
	for _, row := range rows {
		var pairs []pair
		for _, name := range []string{"@timestamp", "@message", "@logStream", "@ptr"} {
			if value, ok := row[name]; ok {
				pairs = append(pairs, pair{name, value})
			}
		}
		list = append(list, pairs)
	}
	return map[string]any{
		"status": q.Status, "results": list,
		"statistics": map[string]float64{"recordsMatched": float64(q.matched), "recordsScanned": float64(q.scanned), "bytesScanned": float64(q.Scanned)},
	}, nil
}

func (s *Server) stop(in input) (any, error) {
	q, err := s.find(in.QueryID)
	if err != nil {
		return nil, err
	}
	if q.Status != "Scheduled" && q.Status != "Running" {
		return nil, refuse("InvalidParameterException", "Query is not in running or scheduled state")
	}
	q.Status = "Cancelled"
	return map[string]bool{"success": true}, nil
}

// describe lists log groups by name, two a page.
func (s *Server) describe(in input) (any, error) {
	var names []string
	for name := range s.groups {
		if strings.HasPrefix(name, in.LogGroupNamePrefix) && name > in.NextToken {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := map[string]any{}
	if len(names) > 2 {
		names = names[:2]
		out["nextToken"] = names[1]
	}
	var list []map[string]any
	for _, name := range names {
		g := s.groups[name]
		entry := map[string]any{"logGroupName": name, "creationTime": g.Created.UnixMilli(), "arn": "arn:aws:logs:" + s.cfg.Region + ":123456789012:log-group:" + name + ":*"}
		if g.RetentionDays > 0 {
			entry["retentionInDays"] = g.RetentionDays
		}
		list = append(list, entry)
	}
	out["logGroups"] = list
	return out, nil
}
