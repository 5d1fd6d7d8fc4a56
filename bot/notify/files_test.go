package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/png"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/commands/journal"
)

// audited makes a run whose board stands and whose files are asked for.
func (w *world) audited(t *testing.T) (run, files string) {
	t.Helper()
	run = w.run(t, "r-1", nil)
	deliver(t, w.replica(t, "first"), run+"/board")
	w.step(t, run, withReport)
	return run, w.want(t, run, journal.Files, journal.Files, "")
}

// shown answers the replies that show files.
func (w *world) shown(t *testing.T) (with []bottest.Message) {
	t.Helper()
	for _, m := range w.alerts.Thread(expectOne(t, w.alerts).TS) {
		if len(m.Files) > 0 {
			with = append(with, m)
		}
	}
	return with
}

func TestTheEvidenceIsAttachedBelowTheBoard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	run, id := w.audited(t)
	n := w.replica(t, "other")
	deliver(t, n, id)
	deliver(t, n, id)

	ms := w.shown(t)
	if len(ms) != 1 {
		t.Fatalf("%d messages show files:\n%s", len(ms), w.alerts.Transcript())
	}
	var names []string
	for _, f := range ms[0].Files {
		_, end, _ := strings.Cut(f.Name, ".")
		names = append(names, end+" "+f.Title)
	}
	if diff := cmp.Diff([]string{
		"png Who was let in, and who was refused", "md The report to read", "json The report for machines", "csv The findings as a table",
	}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if _, err := png.Decode(bytes.NewReader(ms[0].Files[0].Content)); err != nil || !strings.Contains(ms[0].Files[0].Alt, "REVALIDATE_SECRET in production") {
		t.Errorf("the chart: %v, %q", err, ms[0].Files[0].Alt)
	}
	var back audit.Report
	if err := json.Unmarshal(ms[0].Files[2].Content, &back); err != nil || back.Verdict.Outcome != audit.Refused {
		t.Errorf("the report does not read back: %v %+v", err, back.Verdict)
	}
	if acts := w.acts(t, run); !strings.Contains(strings.Join(acts, ","), "told.slack attached") {
		t.Errorf("the security log says %q", acts)
	}
	w.slack.ExpectNoErrors(t)
}

// Whatever answer is lost, and however Slack fails on the way, the files are shown once.
func TestFilesAreShownOnceWhateverFails(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(*bottest.Slack){
		"the place is lost":       func(s *bottest.Slack) { s.On("files.getUploadURLExternal").LoseResponse(2) },
		"the upload is lost":      func(s *bottest.Slack) { s.On("upload").LoseResponse(1) },
		"the upload fails":        func(s *bottest.Slack) { s.On("upload").Fail(http.StatusGatewayTimeout, 3) },
		"the last answer is lost": func(s *bottest.Slack) { s.On("files.completeUploadExternal").LoseResponse(1) },
		"the last call fails":     func(s *bottest.Slack) { s.On("files.completeUploadExternal").Fail(http.StatusInternalServerError, 2) },
		"garbage":                 func(s *bottest.Slack) { s.On("files.completeUploadExternal").Garbage(1) },
		"rate limits": func(s *bottest.Slack) {
			s.On("files.getUploadURLExternal").RateLimit(1, time.Second)
			s.On("files.completeUploadExternal").RateLimit(1, time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bottest.SlackConfig{})
			_, id := w.audited(t)
			harm(w.slack)
			deliver(t, w.replica(t, "other"), id)
			if ms := w.shown(t); len(ms) != 1 || len(ms[0].Files) != 4 {
				t.Errorf("%d messages show files:\n%s", len(ms), w.alerts.Transcript())
			}
			w.slack.ExpectNoErrors(t)
		})
	}
}

// killer ends the process, as far as the vendors see it, at the nth call: before it is
// sent, or after it was carried out and before its answer is read.
type killer struct {
	next  http.RoundTripper
	at    int32
	after bool
	kill  context.CancelFunc
	calls atomic.Int32
}

func (k *killer) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, "files.") && !strings.Contains(r.URL.Path, "/upload/") {
		return k.next.RoundTrip(r)
	}
	if k.calls.Add(1) != k.at {
		return k.next.RoundTrip(r)
	}
	if k.after {
		resp, err := k.next.RoundTrip(r.Clone(context.WithoutCancel(r.Context())))
		if err == nil {
			_ = resp.Body.Close()
		}
	} else if r.Body != nil {
		_ = r.Body.Close()
	}
	k.kill()
	return nil, context.Canceled
}

// A process is killed at each of the nine calls, before and after Slack has carried it
// out; another one takes the delivery over.
func TestFilesAreShownOnceHoweverAProcessDies(t *testing.T) {
	t.Parallel()
	const calls = 9 // two for each of four files, and one that shows them
	for call := int32(1); call <= calls; call++ {
		for _, after := range []bool{false, true} {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, bottest.SlackConfig{})
				_, id := w.audited(t)
				ctx, kill := context.WithCancel(t.Context())
				defer kill()
				k := &killer{at: call, after: after, kill: kill}
				dying := w.replica(t, "dying", through(func(next http.RoundTripper) http.RoundTripper {
					k.next = next
					return k
				}))
				gone := make(chan error, 1)
				go func() { gone <- dying.Deliver(ctx, id) }()
				if err := <-gone; err == nil {
					t.Fatal("the process was not killed")
				}
				w.update(t, func(ctx context.Context, tx ledger.Tx) error {
					_, err := tx.Bury(ctx, "dying")
					return err
				})
				deliver(t, w.replica(t, "other"), id)
				if ms := w.shown(t); len(ms) != 1 || len(ms[0].Files) != 4 {
					t.Errorf("killed at call %d (after %v): %d messages show files:\n%s", call, after, len(ms), w.alerts.Transcript())
				}
			})
		}
	}
}

// A process that was paused in the last call, and taken for dead, shows nothing twice when
// it wakes up.
func TestAPausedProcessShowsNoFilesAgain(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]string{"uploading": "files.getUploadURLExternal", "showing": "files.completeUploadExternal"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bottest.SlackConfig{})
			_, id := w.audited(t)
			h := &hold{method: method, held: make(chan struct{}), release: make(chan struct{})}
			paused := w.replica(t, "paused", through(func(next http.RoundTripper) http.RoundTripper {
				h.next = next
				return h
			}))
			ended := make(chan error, 1)
			go func() { ended <- paused.Deliver(context.Background(), id) }()
			<-h.held
			w.update(t, func(ctx context.Context, tx ledger.Tx) error {
				_, err := tx.Bury(ctx, "paused")
				return err
			})
			deliver(t, w.replica(t, "other"), id)
			close(h.release)
			if err := <-ended; !errors.Is(err, ledger.ErrFenced) {
				t.Errorf("the one taken for dead: %v", err)
			}
			if ms := w.shown(t); len(ms) != 1 {
				t.Errorf("%d messages show files:\n%s", len(ms), w.alerts.Transcript())
			}
		})
	}
}

// Without the right to share files the run is told of all the same, and the thread says
// once what is missing and how it is had.
func TestWithoutTheScopeASentenceSaysSo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  bottest.SlackConfig
		harm func(*bottest.Slack)
		want []string
	}{
		"scope": {
			cfg:  bottest.SlackConfig{Scopes: []string{"commands", "chat:write", "channels:history"}},
			harm: func(*bottest.Slack) {}, want: []string{"could not be attached", "files:write", "--bundle FILE"},
		},
		"the answer to the sentence is lost": {
			cfg:  bottest.SlackConfig{Scopes: []string{"commands", "chat:write", "channels:history"}},
			harm: func(s *bottest.Slack) { s.On("chat.postMessage").LoseResponse(1) }, want: []string{"files:write"},
		},
		"uploads are disabled": {harm: (*bottest.Slack).DisableUploads, want: []string{"could not be attached", "file_uploads_disabled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.cfg)
			_, id := w.audited(t)
			c.harm(w.slack)
			deliver(t, w.replica(t, "other"), id)
			replies := w.alerts.Thread(expectOne(t, w.alerts).TS)
			if len(replies) != 1 || len(w.slack.Files()) != 0 {
				t.Fatalf("%d replies, %d files:\n%s", len(replies), len(w.slack.Files()), w.alerts.Transcript())
			}
			for _, want := range c.want {
				if !strings.Contains(replies[0].Plain(), want) {
					t.Errorf("it does not say %q: %s", want, replies[0].Plain())
				}
			}
		})
	}
}
