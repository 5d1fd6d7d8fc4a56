package rehearsal_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/cmd/internal/app"
	"rekey/cmd/internal/rehearsal"
)

// overdue writes a catalogue whose secrets are long overdue and whose digest is due since
// midnight, in a zone in which it is noon: the day does not end while a test runs. It
// answers the digest's id.
func (s *stage) overdue() string {
	s.t.Helper()
	east := 12 - time.Now().UTC().Hour()
	name := fmt.Sprintf("Etc/GMT%+d", -east) // these count westwards
	if east == 0 {
		name = "UTC"
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := os.ReadFile(s.CataloguePath())
	if err != nil {
		s.t.Fatal(err)
	}
	text := strings.ReplaceAll(string(raw), "    rotate_every: 90d\n", "    rotate_every: 90d\n    last_rotated: 2024-01-01\n")
	text += fmt.Sprintf("schedule: {zone: %s, digest: \"00:00\"}\n", name)
	if err := os.WriteFile(s.CataloguePath(), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return "digest/" + time.Now().In(zone).Format(time.DateOnly)
}

// digest answers the digest's delivery, the zero one before it is decided.
func (s *stage) digest(a *app.App, id string) (d ledger.Delivery) {
	s.t.Helper()
	err := a.Store().View(s.t.Context(), func(ctx context.Context, tx ledger.Tx) (err error) {
		d, err = tx.Delivery(ctx, id)
		if errors.Is(err, ledger.ErrNotFound) {
			err = nil
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// mustHaveOneDigest holds channel and security log against what one digest leaves.
func (s *stage) mustHaveOneDigest(a *app.App, id string) {
	s.t.Helper()
	s.within("the digest is told", func() bool { d := s.digest(a, id); return d.Wanted > 0 && d.Sent >= d.Wanted && d.Holder == "" })
	ms := s.Alerts.Messages()
	if len(ms) != 1 {
		s.t.Fatalf("#devops-alerts has %d messages, want the digest:\n%s", len(ms), s.Alerts.Transcript())
	}
	for _, want := range []string{"2 overdue", "ANALYTICS_SECRET", "owner DevOps", "/rotate REVALIDATE_SECRET routine"} {
		if !strings.Contains(ms[0].Plain(), want) {
			s.t.Errorf("the digest does not say %q:\n%s", want, ms[0].Plain())
		}
	}
	sent := 0
	err := a.Store().Export(s.t.Context(), 1, func(e ledger.Entry) error {
		if e.Action == "digest.sent" && e.Subject == id && e.Detail["overdue"] == "2" {
			sent++
		}
		return nil
	})
	if err != nil || sent != 1 {
		s.t.Errorf("the security log has %d entries of the digest, want one (%v)", sent, err)
	}
	s.mustVerify(a)
	s.Slack.ExpectNoErrors(s.t)
}

// However many processes serve, and however often they are started again, the digest of a
// day is posted once; also when nobody was there at its time.
//
// Guide: schedule/digest
func TestTheDigestIsPostedOnceADay(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, databaseURL string) {
		s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
		id := s.overdue()
		w := s.watcher()
		n := 1 // SQLite has one process at a time
		if databaseURL != "" {
			n = 3
		}
		var all []*process
		for range n {
			all = append(all, s.spawn(""))
		}
		s.Slack.ExpectConnected(t, n)
		s.mustHaveOneDigest(w, id)
		for _, p := range all {
			p.kill()
		}
		s.raise(nil)
		if err := s.app.PostDigest(t.Context(), time.Now()); err != nil {
			t.Error(err)
		}
		if a := s.typed(s.Bob, "/rotate digest"); !strings.Contains(a.Text, "2 overdue") || !strings.Contains(a.Text, "/rotate ANALYTICS_SECRET routine") {
			t.Errorf("/rotate digest answers %s", a.Text)
		}
		s.stop()
		s.mustHaveOneDigest(w, id)
	})
}

// A rekey is killed after it has decided to post the digest and before Slack takes it, or
// after Slack has taken it and before that is written down. The next one posts it, or
// finds it.
//
// Guide: schedule/digest
func TestTheDigestSurvivesBeingKilled(t *testing.T) {
	t.Parallel()
	const always = 10_000
	for name, c := range map[string]struct {
		trouble func(*bottest.Slack)
		reached func(*stage, *app.App, string) bool
	}{
		"before the post": {
			func(s *bottest.Slack) { s.On("chat.postMessage").Fail(http.StatusServiceUnavailable, always) },
			func(s *stage, w *app.App, id string) bool { return s.digest(w, id).Attempts > 0 },
		},
		"before it is written down": {
			func(s *bottest.Slack) {
				s.On("chat.postMessage").LoseResponse(1)
				s.On("conversations.history").Fail(http.StatusServiceUnavailable, always)
			},
			func(s *stage, _ *app.App, _ string) bool { return len(s.Alerts.Messages()) > 0 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, databaseURL string) {
				s := world(t, rehearsal.Config{DatabaseURL: databaseURL})
				id := s.overdue()
				w := s.watcher()
				c.trouble(s.Slack)
				first := s.spawn("")
				s.within("the moment is reached", func() bool { return c.reached(s, w, id) })
				first.kill()
				if d := s.digest(w, id); d.Sent >= d.Wanted {
					t.Fatalf("the moment was missed: %+v", d)
				}
				s.Slack.Heal()
				s.spawn("")
				s.mustHaveOneDigest(w, id)
			})
		})
	}
}
