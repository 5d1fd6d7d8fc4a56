package notify_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"rekey/audit/ledger"
	"rekey/bot/bottest"
)

// deaf sends the first call of a method only when released, and never hears the
// answer: a process that was paused in the middle of the call, and whose work is
// cancelled when it wakes up.
type deaf struct {
	next    http.RoundTripper
	method  string
	held    chan struct{}
	release chan struct{}

	first sync.Once
}

func (d *deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	unheard := false
	if strings.HasSuffix(r.URL.Path, d.method) {
		d.first.Do(func() { unheard = true })
	}
	if !unheard {
		return d.next.RoundTrip(r)
	}
	close(d.held)
	<-d.release
	resp, err := d.next.RoundTrip(r)
	if err == nil {
		_ = resp.Body.Close()
	}
	return nil, context.Canceled
}

func TestWhatArrivesLateIsPutRightEvenWhenItsAnswerIsNotHeard(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]string{"an edit": "chat.update", "a post": "chat.postMessage"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bottest.SlackConfig{})
			d := &deaf{method: method, held: make(chan struct{}), release: make(chan struct{})}
			paused, other := w.replica(t, "paused", through(func(next http.RoundTripper) http.RoundTripper {
				d.next = next
				return d
			})), w.replica(t, "other")
			run := w.run(t, "r-1", nil)
			if method == "chat.update" {
				deliver(t, other, run+"/board")
			}
			w.step(t, run, func(r *ledger.Run) { r.State = ledger.Running })
			ended := make(chan error, 1)
			go func() { ended <- paused.Deliver(context.Background(), run+"/board") }()
			<-d.held
			w.update(t, func(ctx context.Context, tx ledger.Tx) error {
				_, err := tx.Bury(ctx, "paused")
				return err
			})
			w.step(t, run, func(r *ledger.Run) { r.State, r.EndedAt = ledger.Succeeded, time.Now() })
			deliver(t, other, run+"/board")
			close(d.release)
			if err := <-ended; !errors.Is(err, ledger.ErrFenced) {
				t.Errorf("the one taken for dead: %v", err)
			}
			if d := w.delivery(t, run+"/board"); d.Sent >= d.Wanted {
				t.Errorf("the board is not asked for again: %+v", d)
			}
			deliver(t, other, run+"/board")
			if m := expectOne(t, w.alerts); !strings.Contains(m.Plain(), "the old value is dead") {
				t.Errorf("board:\n%s", m.Plain())
			}
		})
	}
}
