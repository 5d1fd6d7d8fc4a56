package inspect_test

import (
	"net/netip"
	"os"
	"testing"

	"rekey/audit"
	"rekey/audit/logs/logstest"
	"rekey/commands/inspect"
	"rekey/commands/secret"
)

// What somebody who knows awk would type to learn what an audit tells: who was refused,
// on which paths, how many a minute. The second finds true answers alone; so does ours.
const (
	tally = ` | mawk '{ by[$1]++; at[$7]++; when[substr($4, 2, 17)]++ }
		END { for (k in by) print by[k], k; for (k in at) print at[k], k; for (k in when) print when[k], k }' | sort -rn | head -100`
	grepTally = `LC_ALL=C grep -E '" (401|403) ' "$1"` + tally
	rgTally   = `rg --no-mmap -N '^[^"]*"([^"\\]|\\.)*" (401|403) ' "$1"` + tally
)

// BenchmarkAudit audits a week of an access log, from the file to the verdict: every
// denial, and every accepted use of a guarded endpoint, with who, where and when. One
// log is of usual traffic, in the other every fifth line is such a use. Where no endpoint
// is known, the question is the peers' own: the denials alone.
func BenchmarkAudit(b *testing.B) {
	var table logstest.Table
	for _, c := range []struct {
		name     string
		kind     logstest.Kind
		full     int64
		grep, rg float64
		uses     bool
	}{
		{"audit of a week, denials alone", logstest.Access, 4e9, 8, 4, false},
		{"audit of a week", logstest.Access, 4e9, 8, 4, true},
		{"audit of a busy week", logstest.Busy, 1e9, 0, 0, true},
	} {
		size := logstest.Size(b, c.full)
		path := logstest.File(b, c.kind, size)
		catalogue := watched(path)
		if !c.uses {
			catalogue.Secrets[0].Places[0].Endpoints = nil
		}
		inspector, err := inspect.New(inspect.Config{Catalogue: catalogue})
		if err != nil {
			b.Fatal(err)
		}
		req := inspect.Request{Secret: "REVALIDATE_SECRET", Since: logstest.Since, Until: logstest.Until}
		table.Run(b, logstest.Contest{
			Name: c.name, File: path, Bytes: size, Nice: true, Whole: true,
			Peers: logstest.Ripgrep([]logstest.Peer{{Name: "grep-mawk", Pipeline: grepTally, Goal: c.grep}},
				logstest.Peer{Name: "rg-mawk", Pipeline: rgTally, Goal: c.rg}),
			Ours: func(b *testing.B) {
				report, err := inspector.Audit(b.Context(), req)
				if err != nil || report.Totals[audit.Denied] == 0 || report.Totals[audit.Used] > 0 != c.uses {
					b.Fatalf("found %v, error %v", report.Totals, err)
				}
			},
		})
	}
	table.Print(os.Stdout)
}

// watched is a catalogue of one log and one endpoint, half of whose callers are known.
func watched(path string) *secret.Catalogue {
	return &secret.Catalogue{
		Environments: []secret.Environment{{Name: "production", Logs: []secret.Log{{Path: path, Format: secret.LogAccess}}}},
		Secrets: []secret.Secret{{Name: "REVALIDATE_SECRET", Places: []secret.Place{{
			Environment: "production",
			Endpoints: []secret.Endpoint{{
				Path: logstest.Guarded, Method: "POST", Callers: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/25")},
			}},
		}}}},
	}
}
