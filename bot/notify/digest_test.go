package notify_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
	"rekey/bot/notify"
	"rekey/commands"
	"rekey/commands/journal"
)

// announce has the digest of a day told, good for a time from now, and answers the
// delivery's id.
func (w *world) announce(t *testing.T, day string, good time.Duration) string {
	t.Helper()
	now := time.Now().UTC()
	d := commands.DailyDigest{
		At: now, Day: day, Until: now.Add(good), Zone: "UTC",
		Overdue: []commands.DigestRow{{Secret: "SECRET_KEY", Environment: "production", Days: 12, NextDue: now.AddDate(0, 0, -12), Command: "/rotate SECRET_KEY routine"}},
		Due:     []commands.DigestRow{{Secret: "SENTRY_DSN", Environment: "production", Days: 3, NextDue: now.AddDate(0, 0, 3), From: now.Add(time.Hour)}},
	}
	memo, err := d.Memo()
	if err != nil {
		t.Fatal(err)
	}
	id := "digest/" + day
	w.update(t, func(ctx context.Context, tx ledger.Tx) error {
		if err := tx.InsertRequest(ctx, ledger.Request{ID: id, At: now, Answer: memo}); err != nil {
			return err
		}
		_, err := tx.PutDelivery(ctx, ledger.Delivery{ID: id, Kind: journal.Digest, Subject: id, Wanted: 1, CreatedAt: now})
		return err
	})
	return id
}

// log answers what the security log has about the digest.
func (w *world) log(t *testing.T, id string) (out []ledger.Entry) {
	t.Helper()
	err := w.store.Export(context.Background(), 1, func(e ledger.Entry) error {
		if e.Subject == id {
			out = append(out, e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) mustHaveDropped(t *testing.T, id string) {
	t.Helper()
	if ms := w.alerts.Messages(); len(ms) != 0 {
		t.Errorf("what is out of date was told:\n%s", w.alerts.Transcript())
	}
	es := w.log(t, id)
	if len(es) != 1 || es[0].Action != "digest.dropped" || es[0].Result != "dropped" || es[0].Why == "" {
		t.Errorf("the security log: %+v", es)
	}
	if d := w.delivery(t, id); d.Sent < d.Wanted || d.Holder != "" {
		t.Errorf("delivery %+v", d)
	}
}

// Guide: schedule/digest
func TestTheDigestIsPostedOnceAndRecorded(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(*bottest.Slack){
		"all is well":              func(*bottest.Slack) {},
		"the answer is lost":       func(s *bottest.Slack) { s.On("chat.postMessage").LoseResponse(1) },
		"the answer is lost twice": func(s *bottest.Slack) { s.On("chat.postMessage").LoseResponse(2) },
		"Slack has an error":       func(s *bottest.Slack) { s.On("chat.postMessage").Fail(500, 2) },
		"Slack limits the rate":    func(s *bottest.Slack) { s.On("chat.postMessage").RateLimit(1, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bottest.SlackConfig{})
			n := w.replica(t, "a")
			id := w.announce(t, "2026-11-26", time.Hour)
			trouble(w.slack)
			deliver(t, n, id)
			deliver(t, n, id) // nothing is left
			m := expectOne(t, w.alerts)
			if !strings.Contains(m.Plain(), "SECRET_KEY in production: 12 days overdue") || m.ThreadTS != "" && m.ThreadTS != m.TS {
				t.Errorf("the digest:\n%s", m.Plain())
			}
			es := w.log(t, id)
			if len(es) != 1 || es[0].Action != "digest.sent" || es[0].Actor != "rekey" {
				t.Fatalf("the security log: %+v", es)
			}
			want := map[string]string{"overdue": "1", "due": "1", "waiting": "0", "automatic": "1", "ref": w.alerts.ID + "/" + m.TS}
			if diff := cmp.Diff(want, es[0].Detail); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			w.noErrors(t)
		})
	}
}

// A process that was paused in the middle of the post and taken for dead leaves no
// second message.
func TestADigestThatComesLateDoesNotStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	h := &hold{method: "chat.postMessage", held: make(chan struct{}), release: make(chan struct{})}
	paused, other := w.replica(t, "paused", through(func(next http.RoundTripper) http.RoundTripper {
		h.next = next
		return h
	})), w.replica(t, "other")
	id := w.announce(t, "2026-11-26", time.Hour)
	ended := make(chan error, 1)
	go func() { ended <- paused.Deliver(context.Background(), id) }()
	<-h.held
	w.update(t, func(ctx context.Context, tx ledger.Tx) error {
		_, err := tx.Bury(ctx, "paused")
		return err
	})
	deliver(t, other, id)
	close(h.release)
	if err := <-ended; !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("the one taken for dead: %v", err)
	}
	expectOne(t, w.alerts)
	if es := w.log(t, id); len(es) != 1 {
		t.Errorf("the security log: %+v", es)
	}
}

// What could not be told on its day is not told on the next.
func TestAnOldDigestIsDropped(t *testing.T) {
	t.Parallel()
	t.Run("never tried", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, bottest.SlackConfig{})
		n := w.replica(t, "a")
		id := w.announce(t, "2026-11-25", 0)
		deliver(t, n, id)
		w.mustHaveDropped(t, id)
	})
	t.Run("refused all day", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, bottest.SlackConfig{})
		n := w.replica(t, "a")
		id := w.announce(t, "2026-11-25", 2*time.Second)
		w.alerts.SetMember(false)
		var mend notify.Permanent
		if err := n.Deliver(t.Context(), id); !errors.As(err, &mend) {
			t.Fatalf("not a member: %v", err)
		}
		time.Sleep(2 * time.Second)
		w.alerts.SetMember(true)
		deliver(t, n, id)
		w.mustHaveDropped(t, id)
	})
	t.Run("Slack was down", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, bottest.SlackConfig{})
		n := w.replica(t, "a")
		id := w.announce(t, "2026-11-25", 2*time.Second)
		w.slack.Down(true)
		if err := n.Deliver(t.Context(), id); err == nil {
			t.Fatal("delivered to a Slack that is down")
		}
		time.Sleep(2 * time.Second)
		w.slack.Down(false)
		deliver(t, n, id)
		w.mustHaveDropped(t, id)
	})
	t.Run("without Slack", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, bottest.SlackConfig{})
		id := w.announce(t, "2026-11-25", 0)
		_ = w.replica(t, "a") // for its lease
		deliver(t, bare(t, w, "a"), id)
		w.mustHaveDropped(t, id)
	})
	t.Run("without Slack, on its day", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, bottest.SlackConfig{})
		id := w.announce(t, "2026-11-25", time.Hour)
		_ = w.replica(t, "a")
		var mend notify.Permanent
		if err := bare(t, w, "a").Deliver(t.Context(), id); !errors.As(err, &mend) {
			t.Errorf("without Slack: %v", err)
		}
	})
}

// One that did arrive, without our learning of it, counts as sent.
func TestAnOldDigestThatHadArrivedIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bottest.SlackConfig{})
	n := w.replica(t, "a")
	id := w.announce(t, "2026-11-25", 2*time.Second)
	w.slack.On("chat.postMessage").LoseResponse(1)
	if err := n.Deliver(t.Context(), id); err == nil {
		t.Fatal("the answer was not lost")
	}
	time.Sleep(2 * time.Second)
	deliver(t, n, id)
	m := expectOne(t, w.alerts)
	if es := w.log(t, id); len(es) != 1 || es[0].Action != "digest.sent" || es[0].Detail["ref"] != w.alerts.ID+"/"+m.TS {
		t.Errorf("the security log: %+v", es)
	}
}
