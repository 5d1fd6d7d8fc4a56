package logs

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/logs/logstest"
)

// What the runbook says, and what somebody who knows better would type. Both are right
// only by chance about denials: they cannot tell an answer from a size or a path.
const (
	runbookSignature = `LC_ALL=C grep "Invalid signature" "$1" | tail -100`
	runbookDenied    = `LC_ALL=C grep "403\|401" "$1" | tail -100`
	ripgrepSignature = `rg --no-mmap -N "Invalid signature" "$1" | tail -100`
)

// guarded are the endpoints of the generated logs.
var guarded = []Endpoint{{Path: logstest.Guarded, Method: "POST"}}

// BenchmarkReading asks the runbook's questions of generated logs, of rekey and of grep
// and ripgrep, and prints how they compare. Files are 256 MB; REKEY_BENCH_MB=full makes
// them 4 GB and 2 GB, which is what the goals are about.
func BenchmarkReading(b *testing.B) {
	var table logstest.Table
	security := openGenerated(b, logstest.Security, 2e9)
	access := openGenerated(b, logstest.Access, 4e9)
	contest := func(name string, l *File, ours func(b *testing.B), peers ...logstest.Peer) {
		table.Run(b, logstest.Contest{Name: name, File: l.Path(), Bytes: l.Size(), Peers: peers, Ours: ours})
	}
	scanning := func(name string, whole bool, l *File, ours func(b *testing.B), peers ...logstest.Peer) {
		table.Run(b, logstest.Contest{Name: name, File: l.Path(), Bytes: l.Size(), Peers: peers, Ours: ours, Nice: true, Whole: whole})
	}
	grep := func(pipeline string, goal float64) logstest.Peer {
		return logstest.Peer{Name: "grep", Pipeline: pipeline, Goal: goal}
	}
	rg := func(goal float64) logstest.Peer {
		return logstest.Peer{Name: "rg", Pipeline: ripgrepSignature, Goal: goal}
	}
	last := func(l *File, kind audit.Kind) func(b *testing.B) {
		return func(b *testing.B) {
			got, _, err := l.Last(context.Background(), Query{Endpoints: guarded}, 100, kind)
			if err != nil || len(got) != 100 {
				b.Fatalf("%d records, error %v", len(got), err)
			}
		}
	}
	process := func(l *File, question string) func(b *testing.B) {
		return func(b *testing.B) { runChild(b, question, l.Path()) }
	}
	day := audit.Window{Since: logstest.Until.Add(-24 * time.Hour)}

	contest("last 100 signatures, in process", security, last(security, audit.InvalidSignature),
		grep(runbookSignature, 1000), logstest.Peer{Name: "tac", Pipeline: `tac "$1" | LC_ALL=C grep -m100 "Invalid signature"`})
	contest("last 100 signatures, a process", security, process(security, "signatures"),
		logstest.Ripgrep([]logstest.Peer{grep(runbookSignature, 30)}, rg(0))...)
	contest("last 100 denials, in process", access, last(access, audit.Denied), grep(runbookDenied, 1000))
	contest("last 100 denials, a process", access, process(access, "denials"), grep(runbookDenied, 30))
	scanning("all signatures", true, security, func(b *testing.B) { countFound(b, security, Query{}) },
		logstest.Ripgrep([]logstest.Peer{grep(runbookSignature, 5)}, rg(1.8))...)
	scanning("a needle that is absent", true, access, func(b *testing.B) { countAbsent(b, access) },
		grep(`LC_ALL=C grep "Invalid signature" "$1" | tail -100; echo none`, 0.9))
	scanning("all denials and uses", true, access, func(b *testing.B) { countFound(b, access, Query{Endpoints: guarded}) }, grep(runbookDenied, 0))
	scanning("one day of seven", false, access, func(b *testing.B) { countFound(b, access, Query{Endpoints: guarded, Window: day}) }, grep(runbookDenied, 80))

	b.Run("memory", func(b *testing.B) {
		kib, err := strconv.ParseFloat(runChild(b, "memory", access.Path()), 64)
		if err != nil {
			b.Fatal(err)
		}
		table.Check(b, "memory of a whole scan", "MiB", kib/1024, 32)
	})
	b.Run("acknowledgements", func(b *testing.B) { acknowledgements(b, &table, access) })
	table.Print(os.Stdout)
}

// openGenerated makes a log, and reads it once in a plain way: a fast reader that finds
// something else is no reader.
func openGenerated(b *testing.B, kind logstest.Kind, full int64) *File {
	b.Helper()
	path, format := logstest.File(b, kind, logstest.Size(b, full)), Access
	if kind == logstest.Security {
		format = Security
	}
	want, err := logstest.Naive(path, kind)
	if err != nil {
		b.Fatal(err)
	}
	l, err := Open(path, format)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	var got logstest.Sum
	if _, err := l.Scan(context.Background(), Query{Endpoints: guarded}, func(r Record) error {
		f := logstest.Finding{Offset: r.Offset, Addr: r.Addr.String(), At: r.At, Method: r.Method, Path: r.Path, Agent: r.Agent}
		if r.Status > 0 {
			f.Status = strconv.Itoa(r.Status)
		}
		got.Add(f)
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	if got != want || want.Count == 0 {
		b.Fatalf("%s: found %+v, the plain reader %+v", kind, got, want)
	}
	return l
}

func countFound(b *testing.B, l *File, q Query) {
	b.Helper()
	n := 0
	if _, err := l.Scan(context.Background(), q, func(Record) error { n++; return nil }); err != nil || n == 0 {
		b.Fatalf("%d records, error %v", n, err)
	}
}

// countAbsent looks for signature failures in an access log, where there are none.
func countAbsent(b *testing.B, access *File) {
	b.Helper()
	l, err := Open(access.Path(), Security)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, err := l.Scan(context.Background(), Query{}, func(r Record) error { b.Fatalf("found %+v", r); return nil }); err != nil {
		b.Fatal(err)
	}
}

// acknowledgements measures how long another process waits for an answer of this one, at
// rest and while it scans.
func acknowledgements(b *testing.B, table *logstest.Table, l *File) {
	defer logstest.AsRekeyRuns()()
	addr := echo(b)
	idle := ping(b, addr)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_, _ = l.Scan(ctx, Query{Endpoints: guarded, Workers: runtime.NumCPU()}, func(Record) error { return nil })
		}
	}()
	busy := ping(b, addr)
	stop()
	<-ended
	b.ReportMetric(idle, "ms-p99-idle")
	table.Check(b, "p99 of an answer during a scan", "ms-p99-later", max(0, busy-idle), 1)
}

func TestMain(m *testing.M) {
	if question := os.Getenv("REKEY_BENCH_CHILD"); question != "" {
		os.Exit(child(question, os.Getenv("REKEY_BENCH_ON"), os.Stdout))
	}
	os.Exit(m.Run())
}
