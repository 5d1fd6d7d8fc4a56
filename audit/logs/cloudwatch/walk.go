package cloudwatch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rekey/audit/logs"
)

// reading is one Scan's dealings with Insights.
type reading struct {
	source *Source
	lines  *logs.Lines
	text   string // of the query for evidence
	asked  int    // queries that were answered
	// bytes and records are what Insights scanned.
	bytes, records int64
	reached        time.Time // of the last line handed out
	// seen are the lines of the second that reached lies in: the next question begins
	// with that second.
	seen    map[string]bool
	crowded string // says of the first second that holds more lines than a query answers
}

// wanted are the fields of every query's rows.
const wanted = "fields @timestamp, @message, @logStream, @ptr"

// queryText is the question in the language of Insights. The patterns hold no backslash and
// no line break, so a slash is all that has to be escaped.
func queryText(format logs.Format, q logs.Query, order string, rows int) string {
	var b strings.Builder
	b.WriteString(wanted)
	for n, pattern := range logs.Prefilter(format, q) {
		if n == 0 {
			b.WriteString(" | filter ")
		} else {
			b.WriteString(" and ")
		}
		b.WriteString("@message like /" + strings.ReplaceAll(pattern, "/", `\/`) + "/")
	}
	fmt.Fprintf(&b, " | sort @timestamp %s | limit %d", order, rows)
	return b.String()
}

// walk reads the lines from one second to another, both included, oldest first. What lies
// behind a full answer is asked for again, in as many pieces as its number of lines needs.
func (r *reading) walk(ctx context.Context, from, to int64) error {
	rows, matched, err := r.ask(ctx, r.text, from, to)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if r.seen[row.ptr] {
			continue
		}
		if row.at.Unix() != r.reached.Unix() || r.seen == nil {
			r.seen = map[string]bool{}
		}
		r.seen[row.ptr], r.reached = true, row.at
		if err := r.lines.Take([]byte(row.message), row.at, row.place()); err != nil {
			return err
		}
	}
	full := r.source.cfg.Rows
	if len(rows) < full || matched == int64(len(rows)) {
		return nil
	}
	next := rows[len(rows)-1].at.Unix()
	if next == from && rows[0].at.Unix() == from {
		// A second that fills an answer, whatever else it holds.
		if r.crowded == "" {
			r.crowded = fmt.Sprintf("CloudWatch holds more than %d lines that may be evidence in the second of %s, and answers no more of one second.", full, logs.Moment(rows[0].at))
		}
		next++
	}
	if next > to {
		return nil
	}
	// Each piece should hold well below an answer's rows, as lines are not spread evenly.
	share := max(1, int64(full)/2)
	pieces := max(1, (matched-int64(full)+share-1)/share)
	step := max(1, (to-next)/pieces)
	for at := next; ; at += step {
		end := min(at+step, to)
		if end+step > to {
			end = to
		}
		if err := r.walk(ctx, at, end); err != nil {
			return err
		}
		if end == to {
			return nil
		}
	}
}
