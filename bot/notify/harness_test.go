package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/slack-go/slack"
	"go.uber.org/goleak"

	"rekey/audit"
	"rekey/audit/ledger"
	"rekey/audit/ledger/ledgertest"
	"rekey/audit/ledger/sqlite"
	"rekey/bot/bottest"
	"rekey/bot/notify"
	"rekey/bot/notify/pagerduty"
	"rekey/bot/notify/slack"
	"rekey/commands/journal"
	"rekey/commands/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 60 * time.Second

// world is a ledger and the two vendors; replicas deliver in it.
type world struct {
	store  *sqlite.Store
	slack  *bottest.Slack
	pager  *bottest.PagerDuty
	alerts *bottest.Channel
}

func newWorld(t *testing.T, cfg bottest.SlackConfig) *world {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "ledger.db"), Key: ledgertest.Key(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := bottest.StartSlack(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p, err := bottest.StartPagerDuty(bottest.PagerDutyConfig{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: store, slack: s, pager: p, alerts: s.Channel("devops-alerts")}
	t.Cleanup(func() {
		_ = s.Close()
		_ = p.Close()
		if v, err := store.Verify(context.Background()); err != nil || !v.OK {
			t.Errorf("the security log does not hold: %+v %v", v, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// option changes how a replica is set up.
type option func(*settings)

type settings struct {
	timeout    time.Duration
	routingKey string
	through    func(http.RoundTripper) http.RoundTripper
}

func within(d time.Duration) option  { return func(s *settings) { s.timeout = d } }
func withRoutingKey(k string) option { return func(s *settings) { s.routingKey = k } }

// through puts something between us and the vendors.
func through(wrap func(http.RoundTripper) http.RoundTripper) option {
	return func(s *settings) { s.through = wrap }
}

// laggard carries the first post out only when told to, long after the caller has
// given up, as a network or a vendor may.
type laggard struct {
	next    http.RoundTripper
	release chan struct{}
	done    chan error

	first sync.Once
}

func (l *laggard) RoundTrip(r *http.Request) (*http.Response, error) {
	late := false
	if strings.HasSuffix(r.URL.Path, "chat.postMessage") {
		l.first.Do(func() { late = true })
	}
	if !late {
		return l.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	again := r.Clone(context.Background())
	again.Body = io.NopCloser(bytes.NewReader(body))
	go func() {
		<-l.release
		resp, err := l.next.RoundTrip(again)
		if err == nil {
			_ = resp.Body.Close()
		}
		l.done <- err
	}()
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// hold keeps the first call of a method back until released, its caller waiting: a
// process paused in the middle of it.
type hold struct {
	next    http.RoundTripper
	method  string
	held    chan struct{}
	release chan struct{}

	first sync.Once
}

func (h *hold) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, h.method) {
		h.first.Do(func() {
			close(h.held)
			<-h.release
		})
	}
	return h.next.RoundTrip(r)
}

// replica is one process that delivers.
func (w *world) replica(t *testing.T, id string, opts ...option) *notify.Notifier {
	t.Helper()
	set := settings{timeout: 10 * time.Second, routingKey: w.pager.RoutingKey()}
	for _, o := range opts {
		o(&set)
	}
	w.update(t, func(ctx context.Context, tx ledger.Tx) error {
		return tx.Beat(ctx, ledger.Replica{ID: id, Host: "test", PID: 1}, time.Hour)
	})
	client := &http.Client{Transport: &http.Transport{}}
	if set.through != nil {
		client.Transport = set.through(client.Transport)
	}
	t.Cleanup(client.CloseIdleConnections)
	s, err := slack.New(slack.Config{
		API:     api.New(w.slack.BotToken(), api.OptionAPIURL(w.slack.APIURL()), api.OptionHTTPClient(client)),
		Timeout: set.timeout, Pace: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pagerduty.New(pagerduty.Config{
		RoutingKey: secret.NewValue(set.routingKey), URL: w.pager.URL(), HTTPClient: client, Timeout: set.timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := notify.New(notify.Config{
		Store: w.store, Replica: func(context.Context) string { return id }, Slack: s, Page: p,
		Channel: w.alerts.ID, Source: "leather-api", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// bare is a replica without Slack and PagerDuty.
func bare(t *testing.T, w *world, id string) *notify.Notifier {
	t.Helper()
	n, err := notify.New(notify.Config{Store: w.store, Replica: func(context.Context) string { return id }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *world) update(t *testing.T, fn func(ctx context.Context, tx ledger.Tx) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.store.Update(ctx, fn); err != nil {
		t.Fatal(err)
	}
}

// run makes a run with its board asked for, and answers its id.
func (w *world) run(t *testing.T, id string, change func(*ledger.Run)) string {
	t.Helper()
	r := ledger.Run{
		ID: id, Kind: ledger.KindRotate, Secret: "REVALIDATE_SECRET", Environment: "production", Mode: "compromised", Reason: "found in a CI log",
		Actor: "slack:U0ALICE (alice)", Incident: id, State: ledger.Queued, CreatedAt: time.Now(), Version: 1,
	}
	if change != nil {
		change(&r)
	}
	w.update(t, func(ctx context.Context, tx ledger.Tx) error {
		if err := tx.InsertRun(ctx, r); err != nil {
			return err
		}
		return tx.Append(ctx, &ledger.Entry{Actor: r.Actor, Action: "rotate.requested", Subject: "production/REVALIDATE_SECRET", Run: id, Result: "accepted"})
	})
	w.want(t, id, journal.Board, "board", "")
	return id
}

// step moves the run on by one version, as the engine does, and asks for the board.
func (w *world) step(t *testing.T, id string, change func(*ledger.Run), steps ...ledger.Step) {
	t.Helper()
	w.update(t, func(ctx context.Context, tx ledger.Tx) error {
		r, err := tx.ClaimRun(ctx, id, "engine")
		if err != nil {
			return err
		}
		if change != nil {
			change(&r)
		}
		if err := tx.UpdateRun(ctx, &r); err != nil {
			return err
		}
		for _, s := range steps {
			s.Run = id
			if err := tx.PutStep(ctx, s); err != nil {
				return err
			}
		}
		return tx.ReleaseRun(ctx, id, "engine", r.Fence)
	})
	w.want(t, id, journal.Board, "board", "")
}

// want asks for a delivery.
func (w *world) want(t *testing.T, run, kind, name, subject string) string {
	t.Helper()
	id := run + "/" + name
	w.update(t, func(ctx context.Context, tx ledger.Tx) error {
		r, err := tx.Run(ctx, run)
		if err != nil {
			return err
		}
		_, err = tx.PutDelivery(ctx, ledger.Delivery{ID: id, Run: run, Kind: kind, Subject: subject, Wanted: max(r.Version, 1), CreatedAt: time.Now()})
		return err
	})
	return id
}

func (w *world) delivery(t *testing.T, id string) ledger.Delivery {
	t.Helper()
	var d ledger.Delivery
	err := w.store.View(context.Background(), func(ctx context.Context, tx ledger.Tx) (err error) {
		d, err = tx.Delivery(ctx, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// acts lists the run's told entries as "told.slack posted".
func (w *world) acts(t *testing.T, run string) []string {
	t.Helper()
	var acts []string
	err := w.store.View(context.Background(), func(ctx context.Context, tx ledger.Tx) error {
		es, err := tx.Entries(ctx, run)
		for _, e := range es {
			if strings.HasPrefix(e.Action, "told.") {
				acts = append(acts, e.Action+" "+e.Detail["what"])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return acts
}

// deliver makes one delivery as the job engine does: again and again.
func deliver(t *testing.T, n *notify.Notifier, id string) (tries int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		tries++
		err := n.Deliver(ctx, id)
		if err == nil {
			return tries
		}
		wait := 20 * time.Millisecond
		var asked notify.RetryAfter
		if errors.As(err, &asked) {
			wait = asked.Delay
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			t.Fatalf("%s is never delivered: %v", id, err)
		}
	}
}

func expectOne(t *testing.T, c *bottest.Channel) bottest.Message {
	t.Helper()
	ms := c.Messages()
	if len(ms) != 1 {
		t.Fatalf("%d messages instead of one:\n%s", len(ms), c.Transcript())
	}
	return ms[0]
}

func withReport(r *ledger.Run) {
	b, err := json.Marshal(audit.Report{
		Secret: r.Secret, Environment: r.Environment,
		Verdict: audit.Verdict{Outcome: audit.Refused, Sentence: "203.0.113.66 tried 12 times and was refused every time."},
	})
	if err != nil {
		panic(fmt.Sprint("encoding a report: ", err))
	}
	r.Report = b
}

// called waits until Slack has received a call of a method.
func (w *world) called(t *testing.T, method string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		for _, b := range w.slack.Traffic() {
			if strings.Contains(string(b), method) {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatalf("%s is never called", method)
		}
	}
}
