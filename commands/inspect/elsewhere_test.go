package inspect_test

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rekey/audit"
	"rekey/audit/audittest/cloudwatchtest"
	"rekey/audit/audittest/journaltest"
	"rekey/audit/audittest/lokitest"
	"rekey/commands/secret"
)

var stampIn = regexp.MustCompile(`\[(\d\d/\w+/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]|(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})`)

// stamped is when a line was written, as a shipper that parses it would tell a log server.
func stamped(t *testing.T, line string) time.Time {
	t.Helper()
	m := stampIn.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("%q has no time", line)
	}
	layout, text := "02/Jan/2006:15:04:05 -0700", m[1]
	if text == "" {
		layout, text = "2006-01-02 15:04:05,000", m[2]
	}
	at, err := time.Parse(layout, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// incident is a leak: a stranger is refused in three logs, finds another spelling of the
// path, and is let in; our own callers go on; everybody else makes noise.
func incident(e *estate) {
	e.refused("203.0.113.66", now.Add(-3*time.Hour))
	e.refused("203.0.113.66", now.Add(-3*time.Hour+7*time.Second))
	e.access("203.0.113.66", now.Add(-2*time.Hour), "POST /api//%72evalidate/?x=1", 200)
	e.access("203.0.113.66", now.Add(-2*time.Hour+time.Minute), "POST /api/./revalidate/", 204)
	e.access("198.51.100.9", now.Add(-time.Hour), "POST http://api.example.com/api/revalidate", 201)
	e.refused("192.0.2.5", now.Add(-30*time.Minute))
	for n := range 60 {
		at := now.Add(-time.Duration(n) * 37 * time.Minute)
		e.access("192.0.2.5", at.Add(time.Second), "POST /api/revalidate/", 200)
		e.access("198.51.100.20", at.Add(2*time.Second), "GET /products/401/", 200)
		e.access("198.51.100.21", at.Add(3*time.Second), "GET /admin/", 403)
		e.write(djangoLog, "INFO "+at.Format("2006-01-02 15:04:05,000")+" nothing of note")
	}
	e.write(securityLog, "INFO "+now.Add(-time.Minute).Format("2006-01-02 15:04:05,000")+" still here")
	e.sort()
}

// sort brings every log into the order of time.
func (e *estate) sort() {
	e.t.Helper()
	for _, name := range []string{securityLog, djangoLog, accessLog} {
		list := e.lines(name)
		slices.SortStableFunc(list, func(a, b string) int { return stamped(e.t, a).Compare(stamped(e.t, b)) })
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte(strings.Join(list, "\n")+"\n"), 0o600); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *estate) lines(name string) []string {
	e.t.Helper()
	data, err := os.ReadFile(filepath.Join(e.dir, name))
	if err != nil {
		e.t.Fatal(err)
	}
	return strings.Split(string(bytes.TrimSpace(data)), "\n")
}

// TestSameWhereverTheLogsAre: one incident, read from files, from Loki, from CloudWatch and
// from the journal, comes to the same findings and the same verdict.
//
//nolint:paralleltest // AWS's client takes its credentials from the environment
func TestSameWhereverTheLogsAre(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE00000000")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "example")
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	t.Setenv("LOKI_TOKEN_OF_TEST", "good")
	e := newEstate(t)
	incident(e)
	want := e.audit(t.Context(), "REVALIDATE_SECRET")
	expect(t, want, audit.Misused, "203.0.113.66 was refused twice and then let in")

	loki, err := lokitest.Start(lokitest.Config{Tenant: "leather", Token: "good", MaxEntries: 50, MaxLength: 30 * time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = loki.Close() })
	cloud := cloudwatchtest.New(cloudwatchtest.Config{Now: func() time.Time { return now }})
	t.Cleanup(cloud.Close)
	dir := t.TempDir()
	var entries []journaltest.Entry
	places := map[string][]secret.Log{}
	for _, entry := range e.cat.Environments[0].Logs {
		name := filepath.Base(entry.Path)
		group, unit := "/leather/"+name, name+".service"
		cloud.AddGroup(group, cloudwatchtest.Group{Created: now.AddDate(-1, 0, 0), RetentionDays: 30})
		for _, line := range e.lines(name) {
			at := stamped(t, line)
			loki.Push(map[string]string{"app": "leather", "file": name}, lokitest.Entry{At: at, Line: line})
			cloud.Put(group, "web-1", cloudwatchtest.Event{At: at, Message: line})
			entries = append(entries, journaltest.Entry{At: at, Unit: unit, Messages: []string{line}})
		}
		places["Loki"] = append(places["Loki"], secret.Log{Format: entry.Format, Loki: secret.Loki{
			URL: loki.URL(), Selector: `{app="leather",file="` + name + `"}`, Tenant: "leather", Token: secret.Source{Env: "LOKI_TOKEN_OF_TEST"},
		}})
		places["CloudWatch"] = append(places["CloudWatch"], secret.Log{Format: entry.Format, CloudWatch: secret.CloudWatch{Group: group, Region: cloud.Region(), Endpoint: cloud.URL}})
		places["journal"] = append(places["journal"], secret.Log{Format: entry.Format, Journal: secret.Journal{Unit: unit, Directory: dir}})
	}
	slices.SortStableFunc(entries, func(a, b journaltest.Entry) int { return a.At.Compare(b.At) })
	// A journal that does not reach back further than its units is one that was rotated.
	entries = slices.Insert(entries, 0, journaltest.Entry{At: now.AddDate(0, 0, -30), Unit: "init.scope", Messages: []string{"boot"}})
	if err := journaltest.Write(dir, entries...); err != nil {
		t.Fatal(err)
	}
	same := cmp.Options{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmpopts.IgnoreFields(audit.Report{}, "Read", "TookMS"),
		cmpopts.IgnoreFields(audit.Finding{}, "Sources"),
	}
	for kind, list := range places {
		e.cat.Environments[0].Logs = list
		got := e.audit(t.Context(), "REVALIDATE_SECRET")
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Errorf("%s (-files +%s):\n%s", kind, kind, diff)
		}
		for _, f := range got.Findings {
			if len(f.Sources) == 0 || !strings.HasPrefix(f.Sources[0], kind+" ") {
				t.Errorf("%s: a finding is from %q", kind, f.Sources)
			}
		}
		for _, read := range got.Read[:3] {
			if !strings.HasPrefix(read, kind+" ") || !strings.Contains(read, "matched)") {
				t.Errorf("%s: read %q", kind, read)
			}
		}
		t.Logf("%q", got.Read)
	}
}

// TestElsewhereIsMissing: a log server that cannot be read makes the answer unknown, and
// says why.
func TestElsewhereIsMissing(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	loki, err := lokitest.Start(lokitest.Config{Token: "good"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = loki.Close() })
	logs := e.cat.Environments[0].Logs
	logs[2] = secret.Log{Format: secret.LogAccess, Loki: secret.Loki{URL: loki.URL(), Selector: `{app="leather"}`}}
	report := e.audit(t.Context(), "REVALIDATE_SECRET")
	expect(t, report, audit.CannotTell, "no access log could be read")
	expectGap(t, report, `Loki {app="leather"}`, "add a token")
	// What begins in the window may have been thrown away before.
	loki, err = lokitest.Start(lokitest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = loki.Close() })
	loki.Push(map[string]string{"app": "leather"}, lokitest.Entry{At: now.Add(-time.Hour), Line: e.lines(accessLog)[1]})
	logs[2].Loki.URL = loki.URL()
	report = e.audit(t.Context(), "REVALIDATE_SECRET")
	expect(t, report, audit.CannotTell, "a part of the access log")
	expectGap(t, report, `Loki {app="leather"}`, "is gone, or may be")
}
