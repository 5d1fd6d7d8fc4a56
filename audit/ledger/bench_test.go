package ledger_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/audit/ledger/postgres"
	"rekey/audit/ledger/sqlite"
)

// stores are opened anew for every benchmark, so that none measures another's data.
var stores = []struct {
	name string
	open func(b *testing.B) ledger.Store
}{
	{"sqlite", func(b *testing.B) ledger.Store {
		b.Helper()
		s, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "ledger.db"), Key: key(b)})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}},
	{"postgres", func(b *testing.B) ledger.Store {
		b.Helper()
		s, err := postgres.Open(b.Context(), postgres.Config{URL: ledgertest.Postgres(b), Key: key(b)})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}},
}

func entry() *ledger.Entry {
	return &ledger.Entry{
		Actor: "slack:U012AB3CD (alice)", Action: "step.done", Subject: "production/REVALIDATE_SECRET", Run: "r-1",
		Why: "found in a CI log", Result: "done", Detail: map[string]string{"step": "publish/set/api", "mode": "compromised"},
	}
}

func appendEntry(ctx context.Context, s ledger.Store) error {
	return s.Update(ctx, func(ctx context.Context, tx ledger.Tx) error { return tx.Append(ctx, entry()) })
}

// share spreads n acts over clients and answers acts per second.
func share(b *testing.B, clients, n int, act func() error) float64 {
	b.Helper()
	var wg sync.WaitGroup
	work := make(chan struct{}, n)
	for range n {
		work <- struct{}{}
	}
	close(work)
	start := time.Now()
	for range clients {
		wg.Go(func() {
			for range work {
				if err := act(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(start).Seconds()
}

// BenchmarkAppend is durable appends, one per transaction.
func BenchmarkAppend(b *testing.B) {
	for _, st := range stores {
		for _, clients := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/clients=%d", st.name, clients), func(b *testing.B) {
				s := st.open(b)
				defer func() { _ = s.Close() }()
				b.ResetTimer()
				rate := share(b, clients, b.N, func() error { return appendEntry(b.Context(), s) })
				b.ReportMetric(rate, "appends/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkGroupCommit puts the store beside the plain way to write a chain, which
// locks the newest entry for every append, in one run on one server with 32 clients.
// The ratio is what group commit gains.
func BenchmarkGroupCommit(b *testing.B) {
	const clients = 32
	url := ledgertest.Postgres(b)
	s, err := postgres.Open(b.Context(), postgres.Config{URL: url, Key: key(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	cfg.MaxConns = clients
	plain, err := pgxpool.NewWithConfig(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Exec(b.Context(), `CREATE TABLE plain_head AS SELECT * FROM rekey_head;
		CREATE TABLE plain_ledger (LIKE rekey_ledger INCLUDING INDEXES)`); err != nil {
		b.Fatal(err)
	}
	n := max(b.N, 8*clients) // fewer than that hardly queue up
	b.ResetTimer()
	grouped := share(b, clients, n, func() error { return appendEntry(b.Context(), s) })
	one := share(b, clients, n, func() error { return appendPlainly(b.Context(), plain, key(b)) })
	b.ReportMetric(grouped, "group-appends/s")
	b.ReportMetric(one, "plain-appends/s")
	b.ReportMetric(grouped/one, "ratio")
	b.ReportMetric(0, "ns/op")
}

// appendPlainly is the plain way, with the same chain and the same durability.
func appendPlainly(ctx context.Context, pool *pgxpool.Pool, k ledger.Key) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		e := *entry()
		var prev []byte
		if err := tx.QueryRow(ctx, "SELECT seq, hash FROM plain_head FOR UPDATE").Scan(&e.Seq, &prev); err != nil {
			return err
		}
		e.Seq, e.At, e.Prev = e.Seq+1, time.Now(), ledger.Hash(prev)
		e.Hash = ledger.Sum(k, e)
		mac := ledger.HeadMAC(k, e.Seq, e.Hash)
		if _, err := tx.Exec(ctx, "INSERT INTO plain_ledger VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
			e.Seq, e.At.UnixMicro(), e.Actor, e.Action, e.Subject, e.Run, e.Why, e.Result,
			`{"mode":"compromised","step":"publish/set/api"}`, e.Prev[:], e.Hash[:]); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE plain_head SET seq = $1, hash = $2, mac = $3", e.Seq, e.Hash[:], mac[:])
		return err
	})
}

// BenchmarkVerify walks a chain of 20,000 entries.
func BenchmarkVerify(b *testing.B) {
	const rows, batch = 20_000, 1_000
	for _, st := range stores {
		b.Run(st.name, func(b *testing.B) {
			s := st.open(b)
			defer func() { _ = s.Close() }()
			for range rows / batch {
				if err := s.Update(b.Context(), func(ctx context.Context, tx ledger.Tx) error {
					for range batch {
						if err := tx.Append(ctx, entry()); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if v, err := s.Verify(b.Context()); err != nil || !v.OK || v.Entries != rows {
					b.Fatalf("%+v, %v", v, err)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
