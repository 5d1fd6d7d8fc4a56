package rehearsal_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rekey/audit/ledger/ledgertest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
)

// BenchmarkAcknowledge measures what a person waits for: from the moment Slack has a
// command until it has the acknowledgement, with one and with a hundred commands in
// flight. Slack gives three seconds.
//
//	help     nothing is recorded: the protocol alone
//	refused  a wrong name: the request, and an entry in the security log
//	started  an audit: the request, an entry, a run, its board and two jobs; they are
//	         worked off beside it
//
// All but help are durable before they are acknowledged.
func BenchmarkAcknowledge(b *testing.B) {
	for _, database := range []string{"sqlite", "postgres"} {
		b.Run(database, func(b *testing.B) {
			url := ""
			if database == "postgres" {
				url = ledgertest.Postgres(b)
			}
			w := onDuty(b, url)
			for _, c := range []struct{ name, line, want string }{
				{"help", "/rotate help", "/audit-secret"},
				{"refused", "/rotate NO_SUCH_SECRET compromised", "There is no secret"},
				{"started", "/audit-secret ANALYTICS_SECRET since 1h", "Reading the evidence"},
			} {
				for _, flying := range []int{1, 100} {
					b.Run(fmt.Sprintf("%s/inflight=%d", c.name, flying), func(b *testing.B) {
						acknowledge(b, w, c.line, c.want, flying)
					})
				}
			}
		})
	}
}

// onDuty is a world with an App in it, until the benchmark ends.
func onDuty(b *testing.B, databaseURL string) *rehearsal.World {
	b.Helper()
	w, err := rehearsal.Build(b.Context(), rehearsal.Config{Dir: b.TempDir(), DatabaseURL: databaseURL})
	if err != nil {
		b.Fatalf("building the world: %v", err)
	}
	b.Cleanup(func() {
		if err := w.Close(); err != nil {
			b.Errorf("ending the world: %v", err)
		}
	})
	cfg, err := rehearsal.AppConfig(w.Getenv, slog.DiscardHandler)
	if err != nil {
		b.Fatalf("reading the configuration: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	a, err := app.Open(ctx, cfg, true)
	if err != nil {
		cancel()
		b.Fatalf("opening the App: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Errorf("serving: %v", err)
		}
		a.Close()
	})
	w.Slack.ExpectConnected(b, 1)
	return w
}

// acknowledge types a line b.N times, from as many people as are to be in flight.
func acknowledge(b *testing.B, w *rehearsal.World, line, want string, flying int) {
	took := make([]time.Duration, b.N)
	var next atomic.Int64
	var people sync.WaitGroup
	b.ResetTimer()
	for range flying {
		people.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				a, err := w.Alice.Type(b.Context(), w.Alerts, line)
				if err != nil || a.Err != "" || !strings.Contains(a.Text, want) {
					b.Errorf("Slack shows %q %q: %v", a.Err, a.Text, err)
					return
				}
				took[i] = a.Took
			}
		})
	}
	people.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(milliseconds(took[len(took)/2]), "p50-ms")
	b.ReportMetric(milliseconds(took[len(took)*99/100]), "p99-ms")
	b.ReportMetric(milliseconds(took[len(took)-1]), "max-ms")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
