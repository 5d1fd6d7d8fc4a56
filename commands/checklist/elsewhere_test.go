package checklist_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"rekey/audit/audittest"
	"rekey/audit/audittest/lokitest"
	"rekey/commands/secret"
	"rekey/commands/verify"
)

// The check reads logs that are no files as it reads files, and a server that it cannot
// read makes it unknown.
//
// Guide: checklist/no-denials
func TestLogsElsewhere(t *testing.T) {
	t.Parallel()
	loki, err := lokitest.Start(lokitest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = loki.Close() })
	s := newSite(t)
	s.in.Environment.Logs = []secret.Log{{Format: secret.LogAccess, Loki: secret.Loki{URL: loki.URL(), Selector: `{app="leather"}`}}}
	push := func() {
		data, err := os.ReadFile(s.file("access.log"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			_, rest, _ := strings.Cut(line, "[")
			stamp, _, _ := strings.Cut(rest, "]")
			at, err := time.Parse("02/Jan/2006:15:04:05 -0700", stamp)
			if err != nil {
				t.Fatal(err)
			}
			loki.Push(map[string]string{"app": "leather"}, lokitest.Entry{At: at, Line: strings.TrimSpace(line)})
		}
	}
	push()
	want(t, s.look(), verify.Passed, "no request of our own was refused")
	s.access(2*time.Minute, nextjs, "POST "+path, 401, agent)
	push()
	want(t, s.look(), verify.FailedCheck, "1 request of our own refused", "from "+nextjs)
	loki.Behave(audittest.Revoked)
	want(t, s.look(), verify.UnknownCheck, `Loki {app="leather"}: Loki wants to know who asks (401)`)
}

// A log whose format does not say what it holds is looked at on a server as a file is: one
// of which nothing is understood is no proof that nothing was refused.
func TestLogsElsewhereOfAnyFormat(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		line    string
		outcome verify.Outcome
		words   string
	}{
		"requests":  {`{"request":{"remote_ip":"192.0.2.77","method":"GET","uri":"/"},"status":200}`, verify.Passed, "no request of our own was refused"},
		"messages":  {`{"level":"info","msg":"working"}`, verify.Passed, "no request of our own was refused"},
		"gibberish": {"hello", verify.UnknownCheck, "no line of Loki {app=\"leather\"} could be understood"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loki, err := lokitest.Start(lokitest.Config{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = loki.Close() })
			s := newSite(t)
			s.in.Environment.Logs = []secret.Log{{Format: secret.LogJSON, Loki: secret.Loki{URL: loki.URL(), Selector: `{app="leather"}`}}}
			for n := range 30 {
				loki.Push(map[string]string{"app": "leather"}, lokitest.Entry{At: time.Now().Add(-time.Duration(n) * time.Minute), Line: tt.line})
			}
			want(t, s.look(), tt.outcome, tt.words)
		})
	}
}
