package cloudwatch

import (
	"context"
	"fmt"
	"time"

	"rekey/audit/logs"
)

const (
	// lookback is how far before the window lines are looked for that show what the log
	// group holds.
	lookback = 7 * 24 * time.Hour
	// stretch is how much of the group's time is asked for a sample of it at first, and
	// wider is by how much longer the next stretch is.
	stretch = 15 * time.Minute
	wider   = 8
)

// sample hands the newest lines in [from, to] to look, filtered by nothing. Insights scans
// all of the time asked for, and is paid for that, whatever the limit. So little is asked
// for at first, and more of the time before it only where hardly a line was in it, which
// then costs next to nothing.
func (r *reading) sample(ctx context.Context, from, to time.Time, look func(message []byte, at time.Time)) error {
	text := fmt.Sprintf("%s | sort @timestamp desc | limit %d", wanted, min(logs.SampleLines, r.source.cfg.Rows))
	end := to
	if now := r.source.cfg.Now(); now.Before(end) {
		end = now
	}
	// Times are whole seconds, and a query that ends before the group begins is refused.
	for seen, length := 0, stretch; seen < logs.SampleEnough && end.Sub(from) > time.Second; length *= wider {
		begin := later(from, end.Add(-length))
		rows, _, err := r.ask(ctx, text, begin.Unix(), end.Unix())
		if err != nil {
			return err
		}
		for _, row := range rows {
			look([]byte(row.message), row.at)
		}
		seen += len(rows)
		end = begin
	}
	return nil
}
