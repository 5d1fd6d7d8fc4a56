package inspect_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/audit"
	"rekey/audit/audittest/cloudwatchtest"
	"rekey/audit/audittest/journaltest"
	"rekey/audit/audittest/lokitest"
	"rekey/commands/secret"
)

// servers starts a Loki and a CloudWatch, whose client takes its credentials from the
// environment: not for tests that run in parallel.
func servers(t *testing.T) (*lokitest.Server, *cloudwatchtest.Server) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE00000000")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "example")
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	loki, err := lokitest.Start(lokitest.Config{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = loki.Close() })
	cloud := cloudwatchtest.New(cloudwatchtest.Config{Now: func() time.Time { return now }})
	t.Cleanup(cloud.Close)
	return loki, cloud
}

// TestWhatIsAnAccessLogElsewhere: a log whose format does not say what it holds counts on
// a server as what it counts as in a file.
//
//nolint:paralleltest // AWS's client takes its credentials from the environment
func TestWhatIsAnAccessLogElsewhere(t *testing.T) {
	loki, cloud := servers(t)

	old, late := now.Add(-30*time.Hour), now.Add(-time.Hour)
	type line struct {
		at   time.Time
		text string
	}
	says := func(at time.Time, text string) line {
		return line{at, fmt.Sprintf(`{"ts":%d,"level":"info","msg":%q}`, at.Unix(), text)}
	}
	asks := func(at time.Time, addr string, status int) line { return line{at, caddy(at, addr, "-", status)} }
	gibberish := []line{{old, "hello"}, {late, "world"}, {now.Add(-time.Minute), "Traceback\nhello"}}
	const pattern = `(?P<time>\S+) (?P<addr>\S+) (?P<method>\S+) (?P<path>\S+) (?P<status>\d+)`
	products := func(since time.Time, n int) (list []line) {
		for n := range n {
			at := since.Add(time.Duration(n) * 6 * time.Minute)
			list = append(list, line{at, fmt.Sprintf(`{"ts":%d,"request":{"remote_ip":"198.51.100.7","method":"GET","uri":"/products/"},"status":200}`, at.Unix())})
		}
		return list
	}
	buried := products(now.Add(-60*time.Hour), 590)
	for n := range 300 {
		buried = append(buried, line{now.Add(-time.Minute + time.Duration(n)*time.Millisecond), fmt.Sprintf("\tgoroutine %d [running]:", n)})
	}
	cases := []struct {
		name    string
		entry   secret.Log
		lines   []line
		outcome audit.Outcome
		gap     string // "" for none at all
	}{
		{"json with requests", secret.Log{Format: secret.LogJSON}, []line{asks(old, "192.0.2.5", 404), asks(late, "192.0.2.5", 200)}, audit.NoSign, ""},
		{"json with other requests", secret.Log{Format: secret.LogJSON}, products(old, 290), audit.NoSign, ""},
		{"quiet in the window", secret.Log{Format: secret.LogAuto}, []line{asks(old, "192.0.2.5", 404), says(late, "config reloaded")}, audit.NoSign, ""},
		{"buried by a program that fails", secret.Log{Format: secret.LogAuto}, buried, audit.NoSign, ""},
		{"a stranger got in", secret.Log{Format: secret.LogAuto}, []line{asks(old, "192.0.2.5", 404), asks(late, "203.0.113.66", 200)}, audit.Misused, ""},
		{"json without requests", secret.Log{Format: secret.LogJSON}, []line{says(old, "starting"), says(late, "working")}, audit.CannotTell, "None of this environment's logs holds requests"},
		{"logfmt without requests", secret.Log{Format: secret.LogLogfmt}, []line{{old, `ts=` + old.Format(time.RFC3339) + ` level=info msg=starting`}, {late, `ts=` + late.Format(time.RFC3339) + ` level=info msg=working`}}, audit.CannotTell, "None of this environment's logs holds requests"},
		{"gibberish as json", secret.Log{Format: secret.LogJSON}, gibberish, audit.CannotTell, "No line of it could be understood"},
		{"gibberish detected", secret.Log{Format: secret.LogAuto}, gibberish, audit.CannotTell, "No line of it could be understood"},
		{"a pattern", secret.Log{Format: secret.LogPattern, Pattern: pattern}, []line{
			{old, old.Format(time.RFC3339) + " 192.0.2.5 GET / 200"}, {late, late.Format(time.RFC3339) + " 192.0.2.5 POST /api/revalidate/ 200"},
		}, audit.NoSign, ""},
		{"a pattern that fits no line", secret.Log{Format: secret.LogPattern, Pattern: pattern}, gibberish, audit.CannotTell, "No line of it could be understood"},
	}

	var group sync.WaitGroup
	for n, tt := range cases {
		app := fmt.Sprint("app-", n)
		var texts []string
		// A journal that does not reach back further than its units is one that was rotated.
		entries := []journaltest.Entry{{At: now.AddDate(0, 0, -30), Unit: "init.scope", Messages: []string{"boot"}}}
		cloud.AddGroup(app, cloudwatchtest.Group{Created: now.AddDate(0, 0, -30)})
		for _, l := range tt.lines {
			texts = append(texts, l.text)
			loki.Push(map[string]string{"app": app}, lokitest.Entry{At: l.at, Line: l.text})
			cloud.Put(app, "web-1", cloudwatchtest.Event{At: l.at, Message: l.text})
			entries = append(entries, journaltest.Entry{At: l.at, Unit: app + ".service", Messages: []string{l.text}})
		}
		dir := t.TempDir()
		if err := journaltest.Write(dir, entries...); err != nil {
			t.Fatal(err)
		}
		onLoki, onCloudWatch, inJournal := tt.entry, tt.entry, tt.entry
		onLoki.Loki = secret.Loki{URL: loki.URL(), Selector: fmt.Sprintf(`{app=%q}`, app)}
		onCloudWatch.CloudWatch = secret.CloudWatch{Group: app, Region: cloud.Region(), Endpoint: cloud.URL}
		inJournal.Journal = secret.Journal{Unit: app, Directory: dir}
		for place, entry := range map[string]*secret.Log{"file": nil, "Loki": &onLoki, "CloudWatch": &onCloudWatch, "journal": &inJournal} {
			e := newEstate(t)
			if entry == nil {
				e.with(tt.entry, texts...)
			} else {
				e.cat.Environments[0].Logs = []secret.Log{*entry}
			}
			group.Go(func() {
				report := e.audit(t.Context(), "REVALIDATE_SECRET")
				if report.Verdict.Outcome != tt.outcome {
					t.Errorf("%s, %s: %s, want %s: %s (missing %q)", tt.name, place, report.Verdict.Outcome, tt.outcome, report.Verdict.Sentence, report.Verdict.Missing)
				}
				told := slices.ContainsFunc(report.Gaps, func(g audit.Gap) bool { return strings.Contains(g.Why, tt.gap) })
				if tt.gap == "" && len(report.Gaps) > 0 || tt.gap != "" && !told {
					t.Errorf("%s, %s: gaps %+v, want %q", tt.name, place, report.Gaps, tt.gap)
				}
			})
		}
	}
	group.Wait()
}
