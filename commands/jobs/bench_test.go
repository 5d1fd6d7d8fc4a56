package jobs_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/commands/jobs"
)

func benchBoth(b *testing.B, bench func(b *testing.B, d database)) {
	b.Helper()
	for _, kind := range []string{onSQLite, onPostgres} {
		b.Run(kind, func(b *testing.B) { bench(b, fresh(b, kind)) })
	}
}

// BenchmarkInsertToStart measures from the commit of a request to the first line of
// Work, one run at a time.
func BenchmarkInsertToStart(b *testing.B) {
	benchBoth(b, func(b *testing.B, d database) {
		store := d.open(b)
		began := make(chan time.Time, 1)
		e := start(b, jobs.Config{
			Store: store, Exclusive: d.exclusive(), Log: slog.New(slog.DiscardHandler),
			Work: func(ctx context.Context, r ledger.Run) error {
				began <- time.Now()
				return finish(store)(ctx, r)
			},
		})
		var took []time.Duration
		for i := 0; b.Loop(); i++ {
			submit(b, store, e, fmt.Sprintf("r-%d", i))
			committed := time.Now()
			took = append(took, receive(b, "the run begins", began).Sub(committed))
			time.Sleep(time.Duration(i%11) * 7 * time.Millisecond) // do not fall into step with the polling
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	})
}

// BenchmarkDeliveries measures how many waiting deliveries a second one replica gets
// through: claimed, recorded and looked at again, each in a transaction of its own.
func BenchmarkDeliveries(b *testing.B) {
	benchBoth(b, func(b *testing.B, d database) {
		store := d.open(b)
		var sent atomic.Int64
		e := build(b, jobs.Config{
			Store: store, Exclusive: d.exclusive(), Log: slog.New(slog.DiscardHandler),
			Deliver: func(ctx context.Context, id string) error {
				return send(ctx, store, id, func() { sent.Add(1) })
			},
		})
		for i := range b.N {
			order(b, store, e, fmt.Sprintf("r-1/%d", i), 1)
		}
		b.ResetTimer()
		if err := e.Start(b.Context()); err != nil {
			b.Fatalf("starting the engine: %v", err)
		}
		b.Cleanup(func() { stop(b, e) })
		eventuallyWithin(b, 10*time.Minute, "all are sent", func() bool { return sent.Load() >= int64(b.N) })
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	})
}

// BenchmarkAtRest measures what an engine without work costs: the share of one core it
// keeps busy in this process.
func BenchmarkAtRest(b *testing.B) {
	benchBoth(b, func(b *testing.B, d database) {
		store := d.open(b)
		start(b, jobs.Config{Store: store, Exclusive: d.exclusive(), Log: slog.New(slog.DiscardHandler)})
		time.Sleep(2 * time.Second) // past the start
		const span = 5 * time.Second
		var spent time.Duration
		for b.Loop() {
			before := cpu(b)
			time.Sleep(span)
			spent += cpu(b) - before
		}
		b.ReportMetric(100*spent.Seconds()/(span.Seconds()*float64(b.N)), "cpu-%")
		b.ReportMetric(0, "ns/op")
	})
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatalf("reading the time spent: %v", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
